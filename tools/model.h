// A model as the subcommands use it: loaded, checked, and made into a session at a batch that fits.
#ifndef TOOLS_MODEL_H
#define TOOLS_MODEL_H

#include "cli.h"

#include "attack/attack.h"
#include "classifier/classifier.h"
#include "report/report.h"

// Loads an ONNX file or a built-in model (builtin:NAME) and refuses what cannot run: unsupported
// operators, and NaN or infinite weights unless --allow-nonfinite.
int model_load(gb_graph **out, const cli *c, const char *path);

// The same as a classifier of pictures, with one input (N,C,H,W) and one output, as the options of
// CLI_MODEL say and the graph tells; says what is not usual.
int model_load_classifier(gb_graph **out, gb_classifier *k, const cli *c, const char *path);
// The same of a model that is loaded; says nothing.
int model_as_classifier(gb_classifier *k, gb_graph *model, const cli *c);
// What --scores says.
gb_scores model_scores(const cli *c);
// What a report tells of the model, once its session is open.
gb_report_model model_facts(const gb_classifier *k, const char *path, const char *preprocess,
                            const gb_session *s);

// A session at options->batch, or at what can be had: half of it, again and again, while it does
// not fit into the device's memory; the model's own where the model runs at no other. Says so.
int model_session(gb_session **out, const cli *c, gb_device *dev, const gb_graph *model,
                  gb_session_options *options);

// An attack on the model, at a batch found in the same way.
int model_attack(gb_attack **out, const cli *c, gb_device *dev, const gb_graph *model,
                 int64_t batch, const gb_normalize *normalize, const gb_attack_config *config);

// GB_ERR_NUMERIC, naming the first, where weights are NaN or infinite.
int model_check_finite(const gb_graph *model, const char *path);

// After a creation that failed with `err`: sets the model's own batch and says so, where trying
// that makes sense.
bool model_try_own_batch(const cli *c, int err, const gb_graph *model, gb_session_options *options);

// "a, b and 3 more" of the names of graph inputs or outputs; returns buf.
char *model_names(char *buf, size_t size, gb_value *const *value, size_t count);

#endif
