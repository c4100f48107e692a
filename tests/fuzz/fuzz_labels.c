// Files of class names, and looking up what they hold.
#include "image/labels.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gb_labels labels;
    char text[64], word[32] = "";
    int found;
    if (gb_labels_decode(&labels, data, size, "fuzz") < 0)
        return 0;
    for (size_t i = 0; i < labels.count && i < 8; i++) {
        gb_labels_text(text, sizeof text, &labels, labels.item[i].index);
        gb_labels_wnid(&labels, labels.item[i].wnid);
        gb_labels_find(&found, &labels, labels.item[i].name, 0);
    }
    memcpy(word, data, size < sizeof word - 1 ? size : sizeof word - 1);
    gb_labels_find(&found, &labels, word, 10);
    gb_labels_finish(&labels);
    return 0;
}
