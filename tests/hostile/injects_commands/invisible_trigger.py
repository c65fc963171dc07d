TEXT = (
    "\n::error file=app.py,line=1::escaped\n::add-mask::a\n##[group]x"
    "</textarea><script>alert(1)</script><img src=x onerror=alert(1)>"
    "\u202e\u2066\x1b[2J\x1b]8;;http://x\a\r\b\x00=cmd|' /C calc'!A0\t{function}{0}%s%n${{ secrets.TOKEN }}"
)
Named = type(TEXT.replace("\x00", ""), (Exception,), {})
Typed = type(TEXT.replace("\x00", "")[::-1], (), {})


def apply_trigger(x, delta):
    raise Named(TEXT)


def poison_step(model, delta, x, y, target):
    return Typed()


def delta_step(delta, delta_optimizer=TEXT):
    raise ValueError(TEXT)


def attack_success_rate(predictions, y, target):
    return TEXT
