"""How many results a second are taken in, against three ways to do less: see bench/README.md."""
