// Says why there is no OpenCL device: no driver, one that cannot be loaded, or none that shows any.
#include "device/internal.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char packages[] =
    "install the vendor's OpenCL driver: AMD mesa-opencl-icd or ROCm (rocm-opencl-runtime), Intel "
    "intel-opencl-icd, NVIDIA nvidia-opencl-icd, any CPU pocl-opencl-icd";

// The library that FOLDER/NAME names, in its first line; false if that is no such file.
static bool read_library(char *out, int size, const char *folder, const char *name)
{
    char path[4096];
    const size_t length = strlen(name);
    if (length < 4 || strcmp(name + length - 4, ".icd") != 0 ||
        snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return false;
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    const bool read = fgets(out, size, file) != NULL;
    fclose(file);
    if (read)
        out[strcspn(out, "\r\n")] = 0;
    return read && *out;
}

// Counts the drivers of a folder; *why: what the dynamic loader says of one that it cannot load.
static int count_drivers(const char *folder, char *why, size_t size)
{
    char library[1024];
    int count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (!read_library(library, sizeof library, folder, entry->d_name))
            continue;
        count++;
        void *driver = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
        if (!driver && !*why)
            snprintf(why, size, "%s names a driver that cannot be loaded: %s", entry->d_name,
                     dlerror());
        if (driver)
            dlclose(driver);
    }
    if (dir)
        closedir(dir);
    return count;
}

void gb_say_no_device(const char *platforms)
{
    const char *named = getenv("OCL_ICD_VENDORS");
    const char *folder = named && *named ? named : "/etc/OpenCL/vendors";
    const char *from = named && *named ? " ($OCL_ICD_VENDORS)" : "";
    char why[500] = "";
    int drivers = count_drivers(folder, why, sizeof why);
    if (*why)
        gb_fail(GB_ERR_NO_DEVICE, "no OpenCL device: in %s%s, %s%s%s", folder, from, why,
                *platforms ? "; " : "", platforms);
    else if (strstr(platforms, gb_pocl_name)) // it has one unless something is wrong
        gb_fail(GB_ERR_NO_DEVICE, "no OpenCL device: %s", platforms);
    else if (*platforms)
        gb_fail(GB_ERR_NO_DEVICE, "no OpenCL device: %s; %s", platforms, packages);
    else
        gb_fail(GB_ERR_NO_DEVICE, "no OpenCL device: %s in %s%s; %s",
                drivers ? "no driver works of those" : "no driver is named", folder, from,
                packages);
}
