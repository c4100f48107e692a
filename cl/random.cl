// Philox 4x32-10, the twin of src/base/rng.h.
static uint4 philox4x32(uint4 c, uint k0, uint k1)
{
    for (int round = 0; round < 10; round++) {
        c = (uint4)(mul_hi(0xCD9E8D57u, c.z) ^ c.y ^ k0, 0xCD9E8D57u * c.z,
                    mul_hi(0xD2511F53u, c.x) ^ c.w ^ k1, 0xD2511F53u * c.x);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

// A number in (0,1), never 0 or 1 (gb_uniform).
static float uniform01(uint bits)
{
    return ((float)(bits >> 9) + 0.5f) * 0x1p-23f;
}
