"""Makes crates/squbed-vmf/src/debye.rs: coefficients of the log-form Debye expansion (DLMF 10.41).

The polynomials U_k of DLMF 10.41.9 follow from
    U_0 = 1,  U_{k+1}(p) = p^2 (1 - p^2) U_k'(p) / 2 + (1/8) * integral_0^p (1 - 5 t^2) U_k(t) dt,
and D_k from  log(1 + sum_k U_k / v^k) = sum_k D_k / v^k.  Every D_k is p^k times a polynomial P_k of degree k
in t = p^2, so what the program evaluates are polynomials in t:
    R_k(t) = (P_k(t) - P_k(1)) / (t - 1),    F_k(t) = p^(1-k) D_k'(p),    G_k(t) = p^(2-k) D_k''(p).
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


def log_coefficients(terms):
    """D_1 to D_terms, each low to high powers of p."""
    u = [[F(1)]]
    for _ in range(terms):
        first = mul([F(0), F(0), F(1, 2), F(0), F(-1, 2)], derivative(u[-1]))
        second = [c / 8 for c in integral(mul([F(1), F(0), F(-5)], u[-1]))]
        u.append(add(first, second))
    # k D_k = k U_k - sum_{j<k} j D_j U_{k-j}
    d = [[F(0)]]
    for k in range(1, terms + 1):
        total = [k * c for c in u[k]]
        for j in range(1, k):
            total = add(total, [-j * c for c in mul(d[j], u[k - j])])
        d.append([c / k for c in total])
    return d[1:]


def rows(k, d):
    """(R_k, F_k, G_k), high to low powers of t; R_k, one degree lower, starts with a zero."""
    p = d[k : 3 * k + 1 : 2]
    assert len(p) == k + 1 and sum(p) == sum(d), "D_k is p^k times a polynomial in p^2"
    quotient, carry = [F(0)], F(0)
    for c in reversed(p[1:]):
        carry += c
        quotient.append(carry)
    powers = [k + 2 * j for j in range(k + 1)]
    first = [c * e for c, e in zip(p, powers)]
    second = [c * e * (e - 1) for c, e in zip(p, powers)]
    return list(zip(quotient, reversed(first), reversed(second)))


def main():
    d = log_coefficients(TERMS)
    print("//! Coefficients of the log-form Debye expansion (DLMF 10.41).")
    print("//!")
    print("//! Made by `scripts/debye_coefficients.py` from exact rationals; not edited by hand.")
    print("\n/// Of each term k from 1: coefficients of R_k, F_k and G_k, high to low powers of t = p².")
    print("#[rustfmt::skip]")
    print(f"pub(crate) const TERMS: [&[[f64; 3]]; {TERMS}] = [")
    for k, term in enumerate(d, start=1):
        print("    &[")
        for row in rows(k, term):
            print("        [" + ", ".join(repr(float(c)) for c in row) + "],")
        print("    ],")
    print("];")
    odd = [sum(term) for term in d[::2]]
    assert all(sum(term) == 0 for term in d[1::2])
    print("\n/// D_k(1) for k = 1, 3, 5, …; for even k it is 0.")
    print("#[rustfmt::skip]")
    print(f"pub(crate) const AT_ONE: [f64; {len(odd)}] = [")
    for c in odd:
        print(f"    {float(c)!r},")
    print("];")


if __name__ == "__main__":
    main()
