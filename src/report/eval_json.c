// An evaluation as JSON.
#include "report/eval.h"

#include <math.h>

static json_t *real(double v) // JSON has no NaN
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *rate_json(const gb_rate *r)
{
    return json_pack("{s:I, s:I, s:o, s:[o, o]}", "count", (json_int_t)r->count, "total",
                     (json_int_t)r->total, "value", real(r->value), "interval", real(r->low),
                     real(r->high));
}

// One object a class that has pictures.
static json_t *classes_json(const gb_eval_report *r)
{
    const gb_metrics *m = r->metrics;
    json_t *list = json_array();
    for (int c = 0; c < m->classes; c++) {
        if (!m->class_accuracy[c].total)
            continue;
        json_t *o = json_pack("{s:i, s:o, s:o}", "class", c, "name",
                              gb_report_text_json(r->class_name[c]), "accuracy",
                              rate_json(&m->class_accuracy[c]));
        if (m->attack)
            json_object_set_new(o, "robust_accuracy", rate_json(&m->class_robust[c]));
        json_array_append_new(list, o);
    }
    return list;
}

// What is not zero, as [true, seen, pictures]: 1000 classes have a million entries.
static json_t *confusion_json(const gb_confusion *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n; i++)
        json_array_append_new(list, json_pack("[i, i, I]", c->cell[i].label, c->cell[i].seen,
                                              (json_int_t)c->cell[i].count));
    return list;
}

static void put_attack(json_t *o, const gb_eval_report *r)
{
    const gb_metrics *m = r->metrics;
    json_object_set_new(o, "attack", gb_report_attack_json(r->config));
    json_object_set_new(o, "robust_accuracy", rate_json(&m->robust));
    if (m->eight_bit)
        json_object_set_new(o, "robust_accuracy_8bit", rate_json(&m->robust_8bit));
    json_object_set_new(o, "attacked", json_integer((json_int_t)m->attacked));
    json_object_set_new(o, "broken", json_integer((json_int_t)m->broken));
    json_object_set_new(o, "zero_gradient", json_integer((json_int_t)m->zero_gradient));
    json_object_set_new(o, "mean_iterations", real(m->mean_iterations));
    json_object_set_new(o, "mean_linf", real(m->mean_linf));
    json_object_set_new(o, "mean_l2", real(m->mean_l2));
    json_object_set_new(o, "confusion_adversarial", confusion_json(&m->confusion_adversarial));
}

static json_t *data_json(const gb_eval_report *r)
{
    const gb_dataset *ds = r->data;
    return json_pack("{s:o, s:I, s:I, s:i, s:b, s:s, s:o}", "spec", gb_report_text_json(ds->spec),
                     "pictures", (json_int_t)ds->count, "skipped", (json_int_t)ds->list.skipped,
                     "classes", ds->classes, "data_classes", r->data_classes, "label_source",
                     ds->label_source, "labels", gb_report_text_json(ds->label_text));
}

static json_t *failed_json(const gb_eval_report *r)
{
    char name[4200];
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_bad; i++) {
        gb_dataset_item_text(name, sizeof name, r->data, (size_t)r->bad[i].item);
        json_array_append_new(list, json_pack("{s:o, s:o}", "image", gb_report_text_json(name),
                                              "error", gb_report_text_json(r->bad[i].why)));
    }
    return list;
}

int gb_eval_json(json_t **out, const gb_eval_report *r)
{
    const gb_metrics *m = r->metrics;
    json_t *o = json_pack(
        "{s:o, s:o, s:o, s:i, s:I, s:o, s:I, s:o, s:o, s:o, s:o}",
        "device", gb_report_device_json(r->device),
        "model", gb_report_model_json(&r->model), "data", data_json(r),
        "ranks", r->ranks, "images", (json_int_t)m->images, "failed", failed_json(r), "earlier",
        (json_int_t)r->earlier, "accuracy", rate_json(&m->accuracy), "classes", classes_json(r),
        "confusion", confusion_json(&m->confusion), "seconds", real(r->seconds));
    if (!o)
        return gb_fail(GB_ERR_NOMEM, "out of memory for the report");
    if (m->attack)
        put_attack(o, r);
    *out = o;
    return 0;
}
