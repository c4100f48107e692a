// Reads a model and writes it again, for check_saved.py: resave IN.onnx OUT.onnx.
#include "onnx/load.h"
#include "onnx/save.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    gb_graph *model = NULL;
    int err = argc == 3 ? gb_onnx_load(&model, argv[1]) : GB_ERR_ARG;
    if (err >= 0)
        err = gb_onnx_save(argv[2], model, NULL, 0);
    if (err < 0)
        fprintf(stderr, "%s\n", argc == 3 ? gb_last_error() : "usage: resave IN.onnx OUT.onnx");
    gb_graph_free(model);
    return err < 0;
}
