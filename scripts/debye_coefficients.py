"""Makes crates/squbed-vmf/src/debye.rs: coefficients of the log-form Debye expansion (DLMF 10.41).

The polynomials U_k of DLMF 10.41.9 follow from
    U_0 = 1,  U_{k+1}(p) = p^2 (1 - p^2) U_k'(p) / 2 + (1/8) * integral_0^p (1 - 5 t^2) U_k(t) dt,
and D_k from  log(1 + sum_k U_k / v^k) = sum_k D_k / v^k.  With Q_k(p) = (D_k(p) - D_k(1)) / (p - 1).
All in exact rationals; each is rounded to f64 once.

    python3 scripts/debye_coefficients.py > crates/squbed-vmf/src/debye.rs      (Python 3, standard library)
"""

from fractions import Fraction as F

TERMS = 14


def mul(a, b):
    out = [F(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return out


def add(a, b):
    n = max(len(a), len(b))
    return [(a[i] if i < len(a) else F(0)) + (b[i] if i < len(b) else F(0)) for i in range(n)]


def derivative(a):
    return [i * c for i, c in enumerate(a)][1:] or [F(0)]


def integral(a):
    return [F(0)] + [c / (i + 1) for i, c in enumerate(a)]


def trim(a):
    while len(a) > 1 and a[-1] == 0:
        a = a[:-1]
    return a


def main():
    u = [[F(1)]]
    for _ in range(TERMS):
        first = mul([F(0), F(0), F(1, 2), F(0), F(-1, 2)], derivative(u[-1]))
        second = [c / 8 for c in integral(mul([F(1), F(0), F(-5)], u[-1]))]
        u.append(trim(add(first, second)))
    # k D_k = k U_k - sum_{j<k} j D_j U_{k-j}
    d = [[F(0)]]
    for k in range(1, TERMS + 1):
        total = [k * c for c in u[k]]
        for j in range(1, k):
            total = add(total, [-j * c for c in mul(d[j], u[k - j])])
        d.append(trim([c / k for c in total]))
    print("//! Coefficients of the log-form Debye expansion (DLMF 10.41), low to high powers of p.")
    print("//!")
    print("//! Made by `scripts/debye_coefficients.py` from exact rationals; not edited by hand.")
    print("#![expect(clippy::excessive_precision, reason = \"each literal is the shortest that reads back as itself\")]")
    for name, about, rows in [
        ("D", "D_k(p), k from 1.", [d[k] for k in range(1, TERMS + 1)]),
        ("Q", "Q_k(p) = (D_k(p) - D_k(1)) / (p - 1), k from 1.", [quotient(d[k]) for k in range(1, TERMS + 1)]),
    ]:
        print(f"\n/// {about}")
        print(f"pub(crate) const {name}: [&[f64]; {TERMS}] = [")
        for row in rows:
            print("    &[" + ", ".join(literal(c) for c in row) + "],")
        print("];")


def quotient(a):
    """(a(p) - a(1)) / (p - 1) by synthetic division."""
    out, carry = [], F(0)
    for c in reversed(a[1:]):
        carry += c
        out.append(carry)
    return out[::-1]


def literal(c):
    text = repr(float(c))
    return text


if __name__ == "__main__":
    main()
