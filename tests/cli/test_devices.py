#!/usr/bin/env python3
"""gibbon devices, and the choice of one."""
import harness
from harness import FASHION, Skip, gibbon


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


def test_choice_by_index_name_and_environment():
    for device in devices():
        done = gibbon("bench", FASHION, "--rounds", 1, "--device", device["index"])
        assert f"device: {device['index']} {device['name']}" in done.err
    first = devices()[0]
    done = gibbon("bench", FASHION, "--rounds", 1, env={"GIBBON_DEVICE": first["index"]})
    assert f"device: {first['index']} {first['name']}" in done.err


def test_unknown_device():
    devices()
    done = gibbon("bench", FASHION, "--device", "nosuchdevice", code=2, says="nosuchdevice")
    assert devices()[0]["name"] in done.err, done
    gibbon("bench", FASHION, code=2, env={"GIBBON_DEVICE": "9:9"}, says="9:9")


def test_ambiguous_device():
    found = devices()
    if len(found) < 2:
        raise Skip("one device only, nothing is ambiguous")
    shared = set.intersection(*({c for c in d["name"].lower() if c.isalpha()} for d in found))
    if not shared:
        raise Skip("the devices' names have nothing in common")
    gibbon("bench", FASHION, "--device", shared.pop(), code=2, says=found[0]["index"])


harness.main(globals())
