#!/usr/bin/env python3
"""gibbon devices, and the choice of one."""
import files
import harness
from harness import BOOT, FASHION, Skip, gibbon


def devices():
    found = gibbon("devices", "--json").json()["devices"]
    if not found:
        raise Skip("no OpenCL device")
    return found


def test_text_and_json_agree():
    out = gibbon("devices").out
    for device in devices():
        assert f"{device['index']}  {device['name']}" in out
        for key in ("platform", "vendor", "driver"):
            assert device[key] in out, key
    assert out.count("[the default: --device any takes it]") == 1


def test_json_schema():
    for device in devices():
        for key, kind in {"index": str, "name": str, "vendor": str, "platform": str, "type": str,
                          "driver": str, "compute_units": int, "memory": int, "fp16": bool,
                          "fp64": bool, "default": bool}.items():
            assert isinstance(device[key], kind), key
    assert sum(device["default"] for device in devices()) == 1


def test_no_device():
    empty = harness.folder("vendors")
    done = gibbon("devices", code=1, env={"OCL_ICD_VENDORS": str(empty) + "/"}, says="no OpenCL device")
    for package in ("mesa-opencl-icd", "intel-opencl-icd", "nvidia-opencl-icd", "pocl-opencl-icd"):
        assert package in done.err
    done = gibbon("devices", "--json", code=1, env={"OCL_ICD_VENDORS": str(empty) + "/"})
    assert done.json() == {"devices": []}


def test_driver_that_cannot_be_loaded():
    vendors = harness.folder("vendors")
    (vendors / "broken.icd").write_text("libnothing-of-the-kind.so\n")
    gibbon("devices", code=1, env={"OCL_ICD_VENDORS": str(vendors) + "/"},
           says="broken.icd names a driver that cannot be loaded: libnothing-of-the-kind.so")


def test_no_folder_for_caches():
    """Results are the same without a home, with one that cannot be written and with a cache folder
    that is a file; the kernels that PoCL compiles go to a private folder then."""
    devices()
    here = harness.folder("homes")
    (here / "file").write_text("")
    plain = ("env", "-u", "HOME", "-u", "XDG_CACHE_HOME", "-u", "POCL_CACHE_DIR", f"TMPDIR={here}")
    model = files.linear(here / "m.onnx", channels=1)
    right = gibbon("classify", model, BOOT, "--preprocess", "unit")
    for odd in [], ["HOME=/proc/1"], [f"XDG_CACHE_HOME={here}/file"], ["XDG_CACHE_HOME=/proc/1/x"], \
            [f"XDG_CACHE_HOME={here}/file", "POCL_CACHE_DIR=/proc/1/x"]:
        done = gibbon("classify", model, BOOT, "--preprocess", "unit", prefix=[*plain, *odd])
        assert done.out == right.out, odd
        private = list(here.glob("gibbon-*"))
        assert len(private) == 1 and private[0].stat().st_mode & 0o777 == 0o700, odd
    assert not (here / "file").read_text()


def test_driver_names():
    """A platform's short name, and its own, whole."""
    for device in devices():
        for name, platform in ("pocl", "Portable Computing Language"), ("oclgrind", "Oclgrind"):
            if device["platform"] == platform:
                for spec in name, platform:
                    gibbon("bench", FASHION, "--rounds", 1, "--device", spec)


def test_choice_by_index_name_and_environment():
    for device in devices():
        done = gibbon("bench", FASHION, "--rounds", 1, "--device", device["index"])
        assert f"device: {device['index']} {device['name']}" in done.err
    first = devices()[0]
    done = gibbon("bench", FASHION, "--rounds", 1, env={"GIBBON_DEVICE": first["index"]})
    assert f"device: {first['index']} {first['name']}" in done.err


def test_precision():
    """Refused where there are no tensor cores; emulated in the graphics form, after a product that
    must come out right."""
    if not any(d["type"] == "cpu" for d in devices()):
        raise Skip("no CPU device")
    gpu = {"GIBBON_KERNEL_FORM": "gpu", "GIBBON_DEVICE": "cpu"}
    gibbon("classify", FASHION, BOOT, "--device", "cpu", "--precision", "tf32", code=1,
           says="precision tf32 needs the tensor cores of an NVIDIA GPU")
    gibbon("classify", FASHION, BOOT, "--precision", "tf33", code=2,
           says="unknown precision 'tf33'; it is one of float32, tf32, bf16, fp16")
    exact = probability("float32", gpu)
    assert abs(exact - probability("float32", {"GIBBON_DEVICE": "cpu"})) < 1e-5
    for precision in "tf32", "bf16", "fp16":
        assert 0 < abs(probability(precision, gpu) - exact) < 0.05, precision
    wrong = harness.folder("kernels")
    right = (harness.SOURCE / "cl" / "gemm_gpu.cl").read_text()
    (wrong / "gemm_gpu.cl").write_text(right.replace("| to_half(hi) << 16", "| to_half(lo) << 16"))
    gibbon("classify", FASHION, BOOT, "--precision", "bf16", code=1,
           env={**gpu, "GIBBON_KERNELS": str(wrong)},
           says="precision bf16 does not work here .*off by .* times what rounding allows")


def probability(precision, env):
    done = gibbon("classify", FASHION, BOOT, "--precision", precision, "--json", env=env)
    return done.json()["images"][0]["classes"][0]["probability"]


def test_unknown_device():
    devices()
    done = gibbon("bench", FASHION, "--device", "nosuchdevice", code=2, says="nosuchdevice")
    assert devices()[0]["name"] in done.err, done
    gibbon("bench", FASHION, code=2, env={"GIBBON_DEVICE": "9:9"}, says="9:9")


def test_ambiguous_device():
    env = {"POCL_DEVICES": "pthread basic"}  # PoCL shows the processor twice then
    found = gibbon("devices", "--json", env=env).json()["devices"]
    same = [d for d in found if d["platform"] == found[0]["platform"]]
    if len(same) < 2:
        raise Skip("no platform with two devices, nothing is ambiguous")
    done = gibbon("bench", FASHION, "--device", same[0]["platform"].upper(), env=env, code=2,
                  says="matches several devices")
    assert all(d["index"] in done.err for d in same), done
    done = gibbon("bench", FASHION, "--rounds", 1, "--device", same[1]["index"], env=env)
    assert f"device: {same[1]['index']} " in done.err, done


harness.main(globals())
