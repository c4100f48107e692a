// Packed weights: a layer's weights and bias in the order in which its kernel reads them.
//
// A packing is a table: which element of the value stands at each place, or none (zero). Of a
// constant the host packs the numbers; of any other value (a parameter in training) a kernel does,
// in every run, and the same table takes the gradient back to the value's own order.
#ifndef GB_OP_PACK_H
#define GB_OP_PACK_H

#include "op/emit.h"

// The value holds weights: a constant, a parameter, or a view of one.
bool gb_is_weight(const gb_value *v);

typedef struct gb_pack {
    const gb_value *value;
    size_t count;
    float scale;
    const float *from; // a constant's elements
    float *data;       // constants: [count]
    int32_t *table;    // others: [count], elements of the value, -1: zero
} gb_pack;

// `count` places, all zero. The caller puts elements, then ends. value NULL: they stay zero.
void gb_pack_begin(gb_pack *p, gb_emit *e, const gb_value *value, size_t count, float scale);
static inline void gb_pack_put(gb_pack *p, size_t at, int64_t element)
{
    if (p->data)
        p->data[at] = p->scale * p->from[element];
    else if (p->table)
        p->table[at] = (int32_t)element;
}
gb_store *gb_pack_end(gb_pack *p, gb_emit *e, const char *what);

// The other way: sums over p < parts of partial[p * stride + i], i going through the tables of one
// or two values that follow each other, are added to these values' gradients. Each element stands
// at one place at most.
typedef struct gb_unpacking {
    gb_store *partial;
    int64_t stride, parts;
    int n;
    gb_value *value[2];
    gb_pack pack[2]; // tables to be filled with gb_pack_put
} gb_unpacking;

gb_pack *gb_unpack_value(gb_unpacking *u, gb_emit *e, gb_value *value, size_t count, float scale);
void gb_unpack(gb_unpacking *u, gb_emit *e);

// The launch that packs all parameters: begun in front of all others, ended when all is recorded.
void gb_packing_begin(gb_emit *e);
void gb_packing_end(gb_emit *e);

#endif
