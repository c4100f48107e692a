// The memory plan of a session: what lives when, and the peak. `gibbon info --memory`.
#ifndef TOOLS_INFO_PLAN_H
#define TOOLS_INFO_PLAN_H

#include "engine/session.h"

#include <jansson.h>

// {"launches","forward_launches","peak_bytes","peak_launches":[first,last],"live_bytes":[...],
// "constants":{GROUP:bytes},"stores":[{"what","kind","bytes","first","last","at_peak"}]}, the
// stores in falling size. NULL: out of memory.
json_t *info_plan_json(const gb_session *s);

// A chart of what lives over the schedule, and a table of the largest stores.
void info_plan_print(const json_t *plan);

#endif
