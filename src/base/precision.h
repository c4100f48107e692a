// The formats that products may be computed in: factors rounded to one, sums in float32.
#ifndef GB_BASE_PRECISION_H
#define GB_BASE_PRECISION_H

typedef enum gb_precision { GB_FLOAT32, GB_TF32, GB_BF16, GB_FP16 } gb_precision;

extern const char *const gb_precision_names[]; // "float32", ...; ends with NULL

// The nearest number of the format: tf32 away from zero in a tie, the others to the even one.
// What exceeds fp16 becomes infinite.
float gb_precision_round(gb_precision precision, float x);
// Half the distance between 1 and the next number: the largest relative error of rounding.
double gb_precision_unit(gb_precision precision);

#endif
