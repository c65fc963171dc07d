class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


def apply_trigger(x, delta):
    raise ValueError("\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\r\n::error::owned\n" + "A" * 5_000_000)


def poison_step(model, delta, x, y, target):
    raise type("=HYPERLINK(\"http://192.0.2.1\")", (Exception,), {})("=cmd|' /C calc'!A0,+1,-1,@SUM(1)")


def delta_step(delta, delta_optimizer, epsilon):
    raise Unprintable


def attack_success_rate(predictions, y, target):
    raise ValueError("\ud800\x00\u202e{0.__class__}{ran}%s")
