"""Claims about the choice of a token, written from sections 10.2 to 10.4 of prover/SPEC.md alone: which faults they show."""

import math

from machine import key, mass, value
from steps import ceil_div

ARGMAX, BEST, CHOICE = 80, 81, 82


def order(bits):
    """NaN lowest."""
    return -(2**31) - 1 if math.isnan(value(bits)) else key(bits)


def is_beaten(logits, token):
    return any((order(bits), -other) > (order(logits[token]), -token) for other, bits in enumerate(logits))


def group_of(logits, token):
    """Groups of 2^ceil(log2(leaves)/2) leaves, log2 of ceil_pow2."""
    leaves = ceil_div(len(logits), 64)
    return token // 64 >> ceil_div((leaves - 1).bit_length(), 2)


class Claimed:
    """Contents of a selection with the token that is claimed; `logits` are bits."""

    def __init__(self, logits, params, token, best, t1, t2, sums):
        self.logits, self.params, self.token = logits, params, token
        self.best, self.t1, self.t2, self.sums = best, t1, t2, sums

    def faults(self, h64):
        """The faults that show without a group's contents."""
        if self.params["temperature_milli"] == 0:
            return {ARGMAX} if is_beaten(self.logits, self.token) else set()
        found = set()
        if any(value(bits) == math.inf for bits in self.logits) and is_beaten(self.logits, self.token):
            found.add(ARGMAX)
        if self.best >= len(self.logits):
            return found | {BEST}
        if is_beaten(self.logits, self.best):
            found.add(BEST)
        m = value(self.logits[self.best])
        chosen = self.is_chosen(m, h64) if math.isfinite(m) else self.token == self.best
        return found if chosen else found | {CHOICE}

    def mass(self, token):
        m = value(self.logits[self.best])
        return mass(value(self.logits[token]), m, self.params["temperature_milli"]) if math.isfinite(m) else 0

    def t3(self):
        least = ceil_div(2**30 * self.params["min_p_ppm"], 10**6)
        return max(self.t2, least) if self.params["min_p_ppm"] > 0 else self.t2

    def is_chosen(self, m, h64):
        """10.4."""
        c, p = [sum(column) for column in zip(*self.sums)], self.params
        mine = self.mass(self.token)
        if not (self.t1 >= 1 and self.t2 >= self.t1 and self.t2 <= 2**30):
            return False
        if p["top_k"] == 0:
            if self.t1 != 1:
                return False
        elif c[0] >= p["top_k"] or (p["top_k"] > c[1] and self.t1 != 1):
            return False
        if p["top_p_ppm"] == 10**6:
            if self.t2 != self.t1:
                return False
        else:
            need = max(1, ceil_div(c[2] * p["top_p_ppm"], 10**6))
            if c[3] < need or c[4] >= need:
                return False
        r = (h64 * c[5]) >> 64
        return mine >= self.t3() and c[6] <= r < c[6] + mine

    def right_sums(self):
        """The 7 components of every group, of these thresholds."""
        t1, t2, t3 = self.t1, self.t2, self.t3()
        out = [[0] * 7 for _ in range(group_of(self.logits, len(self.logits) - 1) + 1)]
        for v in range(len(self.logits)):
            p = self.mass(v)
            sums = out[group_of(self.logits, v)]
            sums[0] += p > t1
            sums[1] += p >= t1
            sums[2] += p if p >= t1 else 0
            sums[3] += p if p >= t2 else 0
            sums[4] += p if p >= t2 + 1 else 0
            sums[5] += p if p >= t3 else 0
            sums[6] += p if p >= t3 and v < self.token else 0
        return out

    def wrong_sum(self):
        """(component, group) of the first sum that is not right, group after group; None when all are."""
        for group, (right, told) in enumerate(zip(self.right_sums(), self.sums)):
            for component in range(7):
                if right[component] != told[component]:
                    return component, group
        return None
