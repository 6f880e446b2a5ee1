"""Heska Vet Cloud, the clinic's DCU and its analyzers, over real HTTP, in a process of their own.

Knows the wire contract and nothing of the application: no Django, no ORM, no import from `labs`.

From the inside out: `script`, `catalogue`, `draw`, `panels`, `readings`, `rows`, `bodies`,
`corrections`, `pictures` and `tokens` are pure. `cloud` holds the state, `analyzers` run tests,
`courier` delivers. `gateway`, `simulate` and `page` turn a `Request` into an `Answer`;
`routes.answer` chooses among them and `server` writes what it is given. So one place sees every
answer before it leaves (`server.Handler.reply`) and one place makes every call to a PIMS
(`courier.call`): there a scripted fault can act.
"""
