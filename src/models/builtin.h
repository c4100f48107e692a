// What is in the box, and one way to every model: a file, or builtin:NAME.
#ifndef GB_MODELS_BUILTIN_H
#define GB_MODELS_BUILTIN_H

#include "models/arch.h"

#define GB_BUILTIN "builtin:"

// Metadata keys of ONNX files. The data: a name that the data sets know, "fashion-mnist"; its test
// pictures are what a model is tried on where none are given. The summary: a line for people.
#define GB_DATA_META "gibbon.data"
#define GB_SUMMARY_META "gibbon.summary"

// Trained models, as ONNX files in the library; a table that ends with a NULL name.
typedef struct gb_builtin {
    const char *name;
    const char *bytes;
    size_t size;
} gb_builtin;
extern const gb_builtin gb_builtin_models[];

// Reads an ONNX file, or for builtin:NAME a trained model from the library or an architecture made
// by `options` (NULL: its own, with the initial weights of seed 0). *arch (may be NULL): that
// architecture, or NULL. GB_ERR_ARG lists the names.
int gb_model_read(gb_graph **out, const gb_arch **arch, const char *name,
                  const gb_arch_options *options);

#endif
