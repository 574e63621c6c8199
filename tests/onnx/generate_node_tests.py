"""Writes ONNX's node tests for opsets 18 to 22 in the layout of ONNX's own data.

usage: generate_node_tests.py FOLDER OP...

The cases come with PyPI's onnx and are written for its newest opset. Each case of one of the given operators
becomes FOLDER/<case>_opset<v>/{model.onnx, test_data_set_0/*.pb} for the oldest and the newest opset from 18 to
22 at which the operator has the case's form. A case that needs a newer form than opset 22's is left out when
ONNX's checker refuses it there.
"""

import copy
import pathlib
import sys

import numpy
import onnx
import onnx.checker
import onnx.defs
import onnx.numpy_helper

FIRST, LAST = 18, 22


def opsets(node, model):
    newest = onnx.defs.get_schema(node.op_type, node.domain).since_version
    last = onnx.defs.get_schema(node.op_type, LAST, node.domain).since_version
    written = next(o.version for o in model.opset_import if o.domain == node.domain)
    if written < newest and written < last:
        return []  # the case keeps an older form on purpose
    return sorted({max(FIRST, last), LAST})


def write(folder, model, data_set):
    data = folder / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for kind, arrays, infos in (
        ("input", data_set[0], model.graph.input),
        ("output", data_set[1], model.graph.output),
    ):
        for i, (array, info) in enumerate(zip(arrays, infos, strict=True)):
            tensor = array
            if not isinstance(array, onnx.TensorProto):
                tensor = onnx.numpy_helper.from_array(numpy.asarray(array), info.name)
            tensor.name = info.name
            (data / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())


def main():
    folder, ops = pathlib.Path(sys.argv[1]), set(sys.argv[2:])
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases():
        nodes = case.model.graph.node
        if len(nodes) != 1 or nodes[0].op_type not in ops or nodes[0].domain:
            continue
        if any(not i.type.HasField("tensor_type") for i in case.model.graph.input):
            continue  # sequences and optionals
        if case.name.startswith("test_castlike"):
            continue  # another operator's tests, written with Cast
        for version in opsets(nodes[0], case.model):
            model = copy.deepcopy(case.model)
            model.ir_version = 10
            for opset in model.opset_import:
                opset.version = version
            try:
                onnx.checker.check_model(model)
            except onnx.checker.ValidationError:
                continue
            write(folder / f"{case.name}_opset{version}", model, case.data_sets[0])


main()
