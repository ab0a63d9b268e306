"""What is seen of a network during one pass.

Hooks see the modules, a TorchFunctionMode sees the functions (`F.relu`, `x @ weight`, `x + y`). Every tensor carries a
small `_Flow`: which calls of weighted layers it comes from, and what it ran through since. So "what follows" is read
from the data's way, not guessed from the order of the code: of two parallel branches, each activation belongs to its
own.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from trainwell.anatomy.kinds import FUNCTION_ALIASES, FUNCTION_ROLES, MATRIX_FUNCTIONS, kind_of
from trainwell.anatomy.running import Batch, call, mapped, refuse_unwatchable, shapes_in, tensors_in, undisturbed
from trainwell.core.records.layer import WEIGHTED, LayerInfo, Role, Shape


def trace(model: nn.Module, batch: Batch, *, training: bool = False) -> tuple[LayerInfo, ...]:
    """The network's layers in the order in which they run, those that never run last.

    Listed are modules without children, modules of torch that are one layer (`MultiheadAttention`, `LSTM`), modules
    that hold parameters themselves, and calls of functions that are layers (`functional` is then True: there is no
    module of that name). A module of the user's that multiplies by its one matrix counts as the linear layer it is.

    Args:
        model: any module; left bit for bit as found, also where it raises (see `undisturbed`).
        batch: as for `call`; a few samples suffice.
        training: run it in training mode instead of evaluation mode.
    Returns:
        One LayerInfo a layer.
    Raises:
        ModelError: the network has lazy modules that have not seen a batch, or is scripted.
    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> [(layer.name, layer.fan_in, layer.followed_by, layer.is_output) for layer in trace(model, torch.ones(3, 4))]
        [('0', 4, ('relu',), False), ('1', None, (), False), ('2', 8, (), True)]

    Source: notes, Weight Initialization (fan-in of a convolution); He et al. 2015, section 2.2.
    """
    recorder = _Recorder(model)
    with undisturbed(model, training=training), recorder.listening():
        inputs = mapped(batch, Tensor.clone)
        recorder.begin(inputs)
        recorder.end(call(model, inputs))
    return recorder.layers()


def inventory(model: nn.Module) -> tuple[LayerInfo, ...]:
    """The layers in the order in which they were registered, without running the network.

    Names, roles, fan-in, parameters and shared weights are those of `trace`. Shapes, functional calls, what follows and
    which layer is the output are not known: `calls` is 0 throughout.

    Args:
        model: any module.
    Returns:
        One LayerInfo a layer.
    Raises:
        ModelError: the network has lazy modules that have not seen a batch, or is scripted.
    Example:
        >>> [layer.role for layer in inventory(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))]
        ['convolution', 'norm', 'activation']
    """
    return _Recorder(model).layers()


@dataclass(frozen=True)
class _Flow:
    """Where a tensor comes from. Each field is a set of calls, one bit a call, so that a union is one `|`.

    Attributes:
        weighted: calls of weighted layers with no other weighted layer between them and the tensor.
        since: calls of other layers on the way from there.
        upstream: all weighted calls, and the network's inputs, that it depends on.
    """

    weighted: int = 0
    since: int = 0
    upstream: int = 0

    def __or__(self, other: "_Flow") -> "_Flow":
        return _Flow(self.weighted | other.weighted, self.since | other.since, self.upstream | other.upstream)


@dataclass
class _Entry:
    """A LayerInfo in the making. `own`: a module of the user's whose one matrix was seen at work in a function."""

    name: str
    kind: str
    role: Role
    table_name: str
    module: nn.Module | None = None
    functional: bool = False
    own: bool = False
    fan_in: int | None = None
    fan_out: int | None = None
    weights: tuple[str, ...] = ()
    holds: frozenset[int] = frozenset()
    parameters: int = 0
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape, ...] = ()
    calls: list[int] = field(default_factory=list)
    followed_by: dict[int, list[str]] = field(default_factory=dict)
    gates: bool = False
    ends_branch: bool = False

    @property
    def weighted(self) -> bool:
        return self.role in WEIGHTED


class _Functions(TorchFunctionMode):
    """Hands every function call to the recorder. Inside a call the mode is off, so nothing is seen twice."""

    def __init__(self, see: Callable[[str, tuple[Any, ...], dict[str, Any], Any], None]) -> None:
        super().__init__()
        self.see = see

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        self.see(getattr(func, "__name__", ""), args, kwargs, output)
        return output


class _Recorder:
    """What is seen of one pass."""

    def __init__(self, model: nn.Module) -> None:
        refuse_unwatchable(model)
        self.model = model
        self.entries = {name: entry for name, module in model.named_modules() if (entry := _entry(name, module))}
        self.by_module = {id(entry.module): entry for entry in self.entries.values()}
        self.names = {id(module): name for name, module in model.named_modules()}
        self.parameter_names = {_storage(tensor): name for name, tensor in model.named_parameters()}
        self.parameter_shapes = {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}
        self.flows: MutableMapping[Tensor, _Flow] = WeakTensorKeyDictionary()
        self.made_by: MutableMapping[Tensor, _Entry] = WeakTensorKeyDictionary()
        self.owners: list[_Entry | None] = []
        self.consumed = 0
        self.reached = 0
        self.inside: list[tuple[nn.Module, bool]] = []

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hooks on every module and the function mode, for as long as the block lasts."""
        with contextlib.ExitStack() as stack:
            for name, module in self.model.named_modules():
                if "parametrizations" in name.split("."):
                    continue
                stack.callback(module.register_forward_pre_hook(self.enter, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(self.leave, with_kwargs=True, always_call=True).remove)
            stack.enter_context(_Functions(self.function))
            yield

    def begin(self, inputs: Any) -> None:
        """Mark the network's inputs."""
        for tensor in tensors_in(inputs):
            self.flows[tensor] = _Flow(upstream=1 << self.new_call(None))

    def end(self, outputs: Any) -> None:
        """Mark what reaches the network's outputs."""
        flow = self.flow(outputs)
        self.reached = (flow.weighted | flow.since) & ~self.consumed

    def new_call(self, entry: _Entry | None) -> int:
        self.owners.append(entry)
        number = len(self.owners) - 1
        if entry is not None:
            entry.calls.append(number)
        return number

    def flow(self, value: Any) -> _Flow:
        """The union of its tensors' flows."""
        total = _Flow()
        for tensor in tensors_in(value):
            total |= self.flows.get(tensor, _Flow())
        return total

    def owners_of(self, calls: int) -> Iterator[tuple[int, _Entry]]:
        while calls:
            number = (calls & -calls).bit_length() - 1
            calls &= calls - 1
            owner = self.owners[number]
            if owner is not None:
                yield number, owner

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        entry = self.by_module.get(id(module))
        known = entry is not None and entry.role != "other" and not entry.own
        self.inside.append((module, known))
        if entry is not None and not entry.calls:
            entry.input_shapes = shapes_in((args, kwargs))

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        self.inside.pop()
        entry = self.by_module.get(id(module))
        flow = self.flow((args, kwargs))
        if entry is None or entry.own or (entry.role == "other" and list(module.children())):
            if entry is not None and not entry.own:
                self.new_call(entry)
                entry.output_shapes = entry.output_shapes or shapes_in(output)
            # What a container's functions could not be followed through still comes from its inputs.
            for tensor in tensors_in(output):
                self.flows.setdefault(tensor, flow)
            return
        if entry.role == "other":
            flow |= self.flow(output)
        self.passed(entry, flow, output)
        projection = self.by_module.get(id(getattr(module, "out_proj", None)))
        if entry.role == "attention" and projection is not None:
            # MultiheadAttention multiplies by this layer's weight without calling it.
            projection.input_shapes = projection.input_shapes or entry.output_shapes[:1]
            self.passed(projection, self.flow(output), output)

    def passed(self, entry: _Entry, flow: _Flow, output: Any) -> None:
        """A layer turned tensors of this flow into the output."""
        call_number = self.new_call(entry)
        bit = 1 << call_number
        entry.output_shapes = entry.output_shapes or shapes_in(output)
        if entry.weighted:
            self.consumed |= flow.weighted | flow.since
            flow = _Flow(weighted=bit, upstream=flow.upstream | bit)
        else:
            self.follow(flow, entry.table_name)
            flow = _Flow(flow.weighted, flow.since | bit, flow.upstream)
        for tensor in tensors_in(output):
            self.flows[tensor] = flow
            self.made_by[tensor] = entry

    def follow(self, flow: _Flow, table_name: str) -> None:
        """Note the name behind the weighted layers that the flow comes from and that nothing else has taken up yet."""
        if table_name == "other":
            return
        for number, owner in self.owners_of(flow.weighted & ~self.consumed):
            owner.followed_by.setdefault(number, []).append(table_name)

    def function(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """A function was called: carry the flow from its arguments to its output, and note the layer that it is."""
        made = tensors_in(output)
        if not made:
            return
        flow = self.flow((args, kwargs))
        module, known = self.inside[-1] if self.inside else (self.model, False)
        name = FUNCTION_ALIASES.get(name.strip("_"), name.strip("_"))
        if not known and flow != _Flow():
            if name in ("add", "mul"):
                self.combined(name, args, kwargs, flow)
            elif self.layer_call(name, module, args, kwargs, flow, output):
                return
        for tensor in made:
            if flow != _Flow():
                self.flows[tensor] = flow

    def layer_call(
        self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], flow: _Flow, output: Any
    ) -> bool:
        """Whether the call is a layer; it is noted then."""
        if name in MATRIX_FUNCTIONS:
            operands = [(tensor, self.parameter_names.get(_storage(tensor))) for tensor in tensors_in((args, kwargs))]
            held = [(tensor, parameter) for tensor, parameter in operands if parameter is not None and tensor.ndim > 1]
            if not held:
                return False
            self.matrix_call(name, module, held[0][0], held[0][1], args, kwargs, flow, output)
            return True
        if name == "gelu" and kwargs.get("approximate") == "tanh":
            name = "gelu_tanh"
        if name in ("clamp", "clip", "clamp_min") and _is_relu(args, kwargs):
            name = "relu"
        role = FUNCTION_ROLES.get(name)
        if role is None:
            return False
        table_name = name if role == "activation" else role
        entry = self.functional_entry(name, module, role, table_name, (args, kwargs))
        self.passed(entry, flow, output)
        return True

    def matrix_call(
        self,
        name: str,
        module: nn.Module,
        weight: Tensor,
        parameter: str,
        args: Any,
        kwargs: Any,
        flow: _Flow,
        output: Any,
    ) -> None:
        role = MATRIX_FUNCTIONS[name]
        shape = self.parameter_shapes[parameter]
        own = self.by_module.get(id(module))
        operands = tensors_in((args, kwargs))
        data = next(tensor for tensor in operands if tensor is not weight and tensor in self.flows)
        if role == "embedding":
            fans = 1, shape[-1]
        elif name.startswith("conv_transpose"):
            fans = shape[0] * math.prod(shape[2:]), shape[1] * math.prod(shape[2:])
        elif role == "convolution" or name == "bilinear":
            fans = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
        else:
            # x W and W x sum over the side that faces x; F.linear's weight is turned by torch itself.
            first = next(tensor for tensor in operands if tensor is weight or tensor is data)
            fan_in = weight.shape[-1] if first is weight else data.shape[-1]
            fans = fan_in, max(1, math.prod(shape) // fan_in)
        matrices = [key for key, tensor in module.named_parameters(recurse=False) if tensor.ndim > 1]
        inside = self.names[id(module)]
        if (
            own is not None
            and [_joined(inside, key) for key in matrices] == [parameter]
            and not list(module.children())
        ):
            # The user's own layer: the module itself is the linear layer.
            own.own, own.role, own.table_name, own.weights = True, role, role, (parameter,)
            own.fan_in, own.fan_out = fans
            own.holds = frozenset({_storage(weight)})
            self.passed(own, flow, output)
            return
        entry = self.functional_entry(f"{name}({parameter})", module, role, role, data)
        entry.fan_in, entry.fan_out = fans
        entry.weights, entry.holds = (parameter,), frozenset({_storage(weight)})
        self.passed(entry, flow, output)

    def functional_entry(self, called: str, module: nn.Module, role: Role, table_name: str, inputs: Any) -> _Entry:
        label = called if called.endswith(")") else f"{called}()"
        full_name = _joined(self.names[id(module)], label)
        if full_name not in self.entries:
            kind = label.split("(")[0]
            self.entries[full_name] = _Entry(full_name, kind, role, table_name, functional=True)
            self.entries[full_name].input_shapes = shapes_in(inputs)
        return self.entries[full_name]

    def combined(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], flow: _Flow) -> None:
        """A sum or product of two tensors that both depend on the input: a residual branch ends, or a gate acts."""
        pair = [tensor for tensor in tensors_in((args, kwargs)) if tensor.is_floating_point()]
        if len(pair) != 2:
            return
        flows = [self.flows.get(tensor, _Flow()) for tensor in pair]
        if not (flows[0].upstream and flows[1].upstream):
            return
        if name == "mul":
            for tensor in pair:
                maker = self.made_by.get(tensor)
                if maker is not None and maker.role == "activation":
                    maker.gates = True
            return
        self.follow(flow, "add")
        if pair[0].shape != pair[1].shape or not flows[0].upstream & flows[1].upstream:
            return
        extra = [flows[0].upstream & ~flows[1].upstream, flows[1].upstream & ~flows[0].upstream]
        short, long = sorted((0, 1), key=lambda side: extra[side].bit_count())
        is_branch = extra[long].bit_count() > extra[short].bit_count() and extra[short].bit_count() <= 1
        sides = [{owner.name for _, owner in self.owners_of(extra[side])} for side in (short, long)]
        if not is_branch or flows[long].weighted.bit_count() != 1 or sides[0] & sides[1]:
            # More than one last layer (gates, sums of sums): no single layer whose zero makes the branch zero. A layer
            # on both sides: steps of a recurrence.
            return
        for _, owner in self.owners_of(flows[long].weighted | flows[long].since & ~flows[short].since):
            owner.ends_branch = owner.ends_branch or owner.weighted or owner.role == "norm"

    def layers(self) -> tuple[LayerInfo, ...]:
        """What was seen, as records: in order of the first call, then what was not called."""
        order = sorted(self.entries.values(), key=lambda entry: entry.calls[0] if entry.calls else len(self.owners))
        aliases: dict[int, list[str]] = {}
        for name, module in self.model.named_modules(remove_duplicate=False):
            aliases.setdefault(id(module), []).append(name)
        return tuple(
            LayerInfo(
                name=entry.name,
                kind=entry.kind,
                role=entry.role,
                table_name=entry.table_name,
                functional=entry.functional,
                followed_by=_merged(entry.followed_by.values()),
                input_shapes=entry.input_shapes,
                output_shapes=entry.output_shapes,
                fan_in=entry.fan_in,
                fan_out=entry.fan_out,
                parameters=entry.parameters,
                weights=entry.weights,
                shares_weight_with=(
                    *(other.name for other in order if other is not entry and other.holds & entry.holds),
                    *(name for name in aliases.get(id(entry.module), []) if name != entry.name),
                ),
                calls=len(entry.calls),
                output_calls=sum(self.reached >> number & 1 for number in entry.calls),
                gates=entry.gates,
                ends_branch=entry.ends_branch,
            )
            for entry in order
        )


def _merged(sequences: Any) -> tuple[str, ...]:
    """The first sequence, then what only later ones hold."""
    merged: list[str] = []
    for sequence in sequences:
        merged += sequence if not merged else [name for name in sequence if name not in merged]
    return tuple(merged)


def _joined(inside: str, name: str) -> str:
    return f"{inside}.{name}" if inside else name


def _storage(tensor: Tensor) -> int:
    """What a parameter and its views (`weight.t()`) have in common."""
    has_none = tensor.numel() == 0 or tensor.layout is not torch.strided
    return id(tensor) if has_none else tensor.untyped_storage().data_ptr()


def _is_relu(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    low = args[1] if len(args) > 1 else kwargs.get("min")
    high = args[2] if len(args) > 2 else kwargs.get("max")
    return not isinstance(low, Tensor) and low == 0 and high is None


def _entry(name: str, module: nn.Module) -> _Entry | None:
    """The entry of a module; None for a container and for what computes a parametrized weight."""
    kind = kind_of(module)
    if kind is None or "parametrizations" in name.split("."):
        return None
    own = dict(module.named_parameters(recurse=False))
    held = list(own.values())
    if nn.utils.parametrize.is_parametrized(module):
        held += module.get_submodule("parametrizations").parameters()
    return _Entry(
        name=name,
        kind=type(module).__name__,
        role=kind.role,
        table_name=kind.table_name,
        module=module,
        fan_in=kind.fan_in,
        fan_out=kind.fan_out,
        weights=tuple(_joined(name, key) for key in kind.weights),
        # A parametrized weight is computed anew at every look (and spectral norm moves on): it is held by nobody.
        holds=frozenset(_storage(parameter) for key, parameter in own.items() if key in kind.weights),
        parameters=sum(tensor.numel() for tensor in held),
    )
