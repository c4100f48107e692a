// Patterns: subgraphs that exporters spell out, replaced by the operator that they mean.
#ifndef GB_ENGINE_PATTERNS_H
#define GB_ENGINE_PATTERNS_H

#include "ir/ir.h"

// Applies every rule of the table in patterns.c to an instance until none fits. Uses must be
// counted; the graph is pruned and counted again. A subgraph is replaced only if nothing else reads
// its inner values.
int gb_pass_patterns(gb_graph *g);

#endif
