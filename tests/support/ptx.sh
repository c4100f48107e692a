#!/bin/sh
# Whether clang and ptxas (CUDA) turn cl/gemm_gpu.cl into code for NVIDIA's GPUs, in every precision,
# without spilling registers: all that can be said of it where there is none. Usage: ptx.sh CL-FOLDER
for tool in clang ptxas; do
    command -v $tool >/dev/null || { echo "skip: $tool is not installed"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/all.cl" <<'END' # what the driver's library has and clang's does not
#define BUILTIN __attribute__((overloadable, always_inline))
size_t BUILTIN get_local_id(uint d) { return __nvvm_read_ptx_sreg_tid_x(); }
size_t BUILTIN get_group_id(uint d)
{
    return d == 0   ? __nvvm_read_ptx_sreg_ctaid_x()
           : d == 1 ? __nvvm_read_ptx_sreg_ctaid_y()
                    : __nvvm_read_ptx_sreg_ctaid_z();
}
size_t BUILTIN get_num_groups(uint d)
{
    return d == 1 ? __nvvm_read_ptx_sreg_nctaid_y() : __nvvm_read_ptx_sreg_nctaid_z();
}
void BUILTIN barrier(cl_mem_fence_flags f) { __asm__ volatile("bar.sync 0;" ::: "memory"); }
int BUILTIN min(int a, int b) { return a < b ? a : b; }
float BUILTIN fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
float4 BUILTIN fma(float4 a, float4 b, float4 c)
{
    return (float4)(fma(a.x, b.x, c.x), fma(a.y, b.y, c.y), fma(a.z, b.z, c.z), fma(a.w, b.w, c.w));
}
void BUILTIN vstore4(float4 v, size_t i, float *p)
{
    p[4 * i] = v.x, p[4 * i + 1] = v.y, p[4 * i + 2] = v.z, p[4 * i + 3] = v.w;
}
END
cat "$1/vectors.cl" "$1/epilogue.cl" "$1/gemm_gpu.cl" >>"$work/all.cl"
target="-x cl -cl-std=CL1.2 -target nvptx64-nvidia-nvcl -Xclang -finclude-default-header -S -O3
    -Xclang -target-cpu -Xclang sm_80 -Xclang -target-feature -Xclang +ptx70"
echo 'kernel void nothing(global int *p) { *p = 0; }' >"$work/nothing.cl"
if ! clang $target "$work/nothing.cl" -o "$work/nothing.ptx" 2>"$work/log" ||
    ! ptxas -arch=sm_80 "$work/nothing.ptx" -o "$work/cubin" 2>>"$work/log"; then
    echo "skip: clang and ptxas do not work together: $(head -n 1 "$work/log")"
    exit 77
fi
failed=0
for precision in "" "-DTF32 -DPTX" "-DBF16 -DPTX" "-DFP16 -DPTX"; do
    for tile in "-DMR=128 -DNR=128 -DTM=8 -DTN=8 -DVEC" "-DMR=64 -DNR=64 -DTM=8 -DTN=4 -DVEC" \
        "-DMR=32 -DNR=32 -DTM=4 -DTN=4"; do
        if ! clang $target -Dasm=__asm__ -DGB_GPU -DVW=1 $tile $precision "$work/all.cl" \
            -o "$work/out.ptx"; then
            failed=1
            continue
        fi
        for sm in sm_80 sm_90; do
            ptxas -v -arch=$sm "$work/out.ptx" -o "$work/cubin" >"$work/log" 2>&1 &&
                grep -q " 0 bytes spill stores" "$work/log" || { failed=1; cat "$work/log"; }
            echo "$sm $tile $precision: $(grep -o 'Used [0-9]* registers' "$work/log")"
        done
    done
done
exit $failed
