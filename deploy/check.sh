#!/bin/sh
# Everything that `make check` looks at. All of it runs even if one part fails, so that one round shows all there is.
cd "$(dirname "$0")/.." || exit 1
python=.venv/bin/python
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
failed=

run() {
    name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || failed="$failed
  $name"
}

run "ruff check" $python -m ruff check --quiet .
run "ruff format" $python -m ruff format --quiet --check --diff .
run "mypy --strict" $python -m mypy --strict labs integrations
run "import rules" .venv/bin/lint-imports --no-cache
run "known holes" $python deploy/floors.py requirements.txt
run "known holes, dev" $python deploy/floors.py requirements-dev.txt
run "templates" $python -m djlint --quiet --lint templates integrations
run "migrations" env VAR_DIR="$state" $python -W ignore manage.py makemigrations --check --dry-run

# As a production installation would be set up; nothing is connected to.
key=$($python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())')
run "deployment checks" env VAR_DIR="$state" SECRET_KEY="$key$key" FIELD_ENCRYPTION_KEYS="$key" \
    DATABASE_URL=postgresql://pims@db.invalid/pims REDIS_URL=redis://redis.invalid/0 \
    PUBLIC_BASE_URL=https://lab.example.org ALLOWED_HOSTS=lab.example.org \
    HESKA_BASE_URL=https://heska.example.org HESKA_SUBSCRIPTION_KEY="$key" \
    $python manage.py check --deploy --fail-level WARNING

if [ -n "$failed" ]; then
    printf 'Not in order:%s\n' "$failed" >&2
    exit 1
fi
echo "All in order."
