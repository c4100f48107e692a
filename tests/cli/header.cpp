// gibbon.h compiles alone as C++, and its functions link by their C names.
#include <gibbon.h>

int main()
{
    gb_attack_config config;
    return gb_attack_default(&config, "pgd") == GB_OK && config.norm == GB_NORM_LINF ? 0 : 1;
}
