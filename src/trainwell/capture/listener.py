"""What torch does while a script trains: it is told to the ears, and nothing of it is changed."""

import functools
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

from trainwell.capture.dependence import UntoldError, position_dependence, sample_dependence
from trainwell.capture.ear import Ear, Passed, Scene, told
from trainwell.capture.ears.aims import Aims
from trainwell.capture.ears.classes import Classes
from trainwell.capture.ears.clipping import Clipping
from trainwell.capture.ears.comparisons import Comparisons
from trainwell.capture.ears.course import Course
from trainwell.capture.ears.curves import Curves
from trainwell.capture.ears.decay import Decay
from trainwell.capture.ears.dropout import Dropout
from trainwell.capture.ears.evaluations import Evaluations
from trainwell.capture.ears.fits import Fits
from trainwell.capture.ears.freshness import Freshness
from trainwell.capture.ears.gradients import Gradients
from trainwell.capture.ears.graphs import Graphs
from trainwell.capture.ears.halves import Halves
from trainwell.capture.ears.layers import Layers
from trainwell.capture.ears.leaks import Leaks
from trainwell.capture.ears.loading import Loading
from trainwell.capture.ears.made import Made
from trainwell.capture.ears.modes import Modes
from trainwell.capture.ears.networks import Networks
from trainwell.capture.ears.norms import Norms
from trainwell.capture.ears.order import Order
from trainwell.capture.ears.pairs import Pairs
from trainwell.capture.ears.ranks import Ranks
from trainwell.capture.ears.rates import Rates
from trainwell.capture.ears.recurrences import Recurrences
from trainwell.capture.ears.repeated import Repeated
from trainwell.capture.ears.schedules import Schedules
from trainwell.capture.ears.squashes import Squashes
from trainwell.capture.ears.starts import Starts
from trainwell.capture.ears.targets import Targets
from trainwell.capture.ears.values import Values
from trainwell.capture.exchange import input_dependence
from trainwell.capture.foreign import Foreign
from trainwell.capture.losses import LAYER, LINE
from trainwell.capture.randomness import randomness
from trainwell.capture.source import user_line
from trainwell.core.records.afterwards import Afterwards
from trainwell.core.records.evidence import LearningCurves
from trainwell.core.records.steps import Steps

EARS: tuple[type[Ear], ...] = (
    Values,
    Comparisons,
    Pairs,
    Fits,
    Networks,
    Layers,
    Gradients,
    Aims,
    Starts,
    Course,
    Freshness,
    Leaks,
    Made,
    Ranks,
    Squashes,
    Recurrences,
    Norms,
    Classes,
    Decay,
    Dropout,
    Loading,
    Repeated,
    Order,
    Targets,
    Evaluations,
    Modes,
    Clipping,
    Graphs,
    Halves,
    Rates,
    Schedules,
    Curves,
)
"""In the order in which they are told."""
OF_HOOKS = r"Using `torch\.compile\(module\)` when there are global hooks"
"""What torch says of hooks on all modules, where a network is compiled: they are ours."""


class Listener:
    """Hears what a script does with torch, and changes nothing of it.

    Args:
        after_step: is told how many optimizer steps were taken, after each.
        wanted: whether the step after so many is to be heard.
    """

    def __init__(self, after_step: Callable[[int], None], *, wanted: Callable[[int], bool] = lambda _: True) -> None:
        self.after_step, self.wanted = after_step, wanted
        self._open: ExitStack | None = None
        self.scene = Scene()
        self.ears = [ear(self.scene) for ear in EARS]
        self.troubles: list[str] = []
        self._foreign = Foreign()
        self._deaf = False
        self._entered, self._passed = self._who("entered"), self._who("passed")
        self._backward, self._stepping, self._stepped = (
            self._who("backward"),
            self._who("stepping"),
            self._who("stepped"),
        )
        self._refused = self._who("backward_refused")
        self._functions = {
            name: [ear for ear in self.ears if name in ear.functions] for ear in self.ears for name in ear.functions
        }

        self._mode = _Functions(self._functions, self._undisturbed)
        self._stepping_alone = False
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()

    def heard(self) -> Steps:
        """Everything so far, as the section `steps`."""
        fields: dict[str, Any] = {}
        for ear in self.ears:
            try:
                fields.update(ear.seen())
            except Exception as error:  # what the others heard is told all the same
                self._trouble(ear.seen, error)
        return Steps(taken=self.scene.taken, **fields)

    def end(self) -> None:
        """The script does not go on: what it holds may be run."""
        self.ear(Schedules).end()

    def ear(self, kind: type[Ear]) -> Any:
        """The one of a kind."""
        return next(ear for ear in self.ears if isinstance(ear, kind))

    def curves(self) -> tuple[LearningCurves | None, str]:
        """The section `curves` of a training that has come to its end, or why there is none."""
        try:
            return self.ear(Curves).curves(), ""
        except UntoldError as error:
            return None, str(error)
        except Exception as error:  # nothing of ours ends the script's own work
            self._trouble(self.curves, error)
            return None, self.troubles[-1]

    def started(self) -> Afterwards:
        """The layers of the networks of the first step, which are run once more and left as they are."""
        deaf, self._deaf = self._deaf, True
        found, reasons = (), {}
        try:
            found = self.ear(Starts).starts(self.ear(Networks).calls)
        except Exception as error:  # the network is the user's and may raise anything
            reasons["initial_loss"] = _why(error)
        finally:
            self._deaf = deaf
        self.ear(Starts).forget()
        return Afterwards(starts=found, reasons=reasons)

    def afterwards(self) -> Afterwards:
        """What can be told by running the networks of the first step once more.

        They are left in test mode: nobody is to train them any more.
        """
        self._deaf = True
        calls, losses = self.ear(Networks).calls, list(self.ear(Values).losses.values())
        reasons: dict[str, str] = {}

        def tried(section: str, work: Callable[[], Any]) -> Any:
            try:
                return work()
            except Exception as error:  # the network is the user's and may raise anything
                reasons[section] = _why(error)
                return None

        return Afterwards(
            starts=tried("initial_loss", lambda: self.ear(Starts).starts(calls)) or (),
            samples=tried("samples", lambda: sample_dependence(calls, losses)),
            positions=tried("positions", lambda: position_dependence(calls)),
            inputs=tried("inputs", lambda: input_dependence(calls)),
            randomness=tried("randomness", lambda: randomness(calls, self.scene.names)),
            workers=tried("workers", self.ear(Order).workers),
            further_labels=tried("further_labels", self.ear(Order).further),
            evaluation=tried("evaluation", self.ear(Evaluations).again),
            reasons=reasons,
        )

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While this is entered, steps are counted, and those that `wanted` names are heard."""
        handle = register_optimizer_step_post_hook(self._after_step)
        self._foreign.look()
        with ExitStack() as stack:
            stack.enter_context(_unwarned(OF_HOOKS))
            self._enter_tellings(stack, throughout=True)
            self._turn(self.wanted(0))
            try:
                yield
            finally:
                handle.remove()
                self._foreign.close()
                self._turn(False)

    def _enter_tellings(self, stack: ExitStack, *, throughout: bool) -> None:
        for ear in self.ears:
            if ear.throughout == throughout:
                for wanted in ear.tellings():
                    stack.enter_context(told(wanted, self._undisturbed))

    def _turn(self, on: bool) -> None:
        """Begin or cease to hear; between, nothing is installed but the counting of steps."""
        if on == (self._open is not None):
            return
        if self._open is not None:
            self._open.close()
            self._open = None
            return
        with ExitStack() as stack:
            handles = [
                nn.modules.module.register_module_forward_pre_hook(self._before_module),
                nn.modules.module.register_module_forward_hook(self._after_module, with_kwargs=True, always_call=True),
                register_optimizer_step_pre_hook(self._before_step),
            ]
            for handle in handles:
                stack.callback(handle.remove)
            stack.callback(self.scene.inside.clear)
            for ear in self.ears:
                stack.callback(ear.leave)
            self._enter_tellings(stack, throughout=False)
            stack.enter_context(self._backward_told())
            stack.enter_context(self._clearing_unheard())
            stack.enter_context(_on_stack(self._mode))
            self._open = stack.pop_all()

    @contextmanager
    def _backward_told(self) -> Iterator[None]:
        backward = torch.autograd.backward

        @functools.wraps(backward)
        def telling(tensors: Any, *args: Any, **options: Any) -> Any:
            if torch.compiler.is_compiling():
                return backward(tensors, *args, **options)
            roots = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
            self._tell(self._backward, roots)
            try:
                return backward(tensors, *args, **options)
            except RuntimeError as error:
                self._tell(self._refused, error)
                raise

        torch.autograd.backward = telling
        try:
            yield
        finally:
            torch.autograd.backward = backward

    @contextmanager
    def _clearing_unheard(self) -> Iterator[None]:
        """An optimizer that clears gradients asks for each of them: of no concern, and dear in a deep network."""
        clear = Optimizer.zero_grad

        @functools.wraps(clear)
        def unheard(*args: Any, **options: Any) -> Any:
            if torch.compiler.is_compiling():
                return clear(*args, **options)
            popped = self._pop_mode()
            try:
                return clear(*args, **options)
            finally:
                if popped:
                    torch.overrides._push_mode(self._mode)

        Optimizer.zero_grad = unheard  # type: ignore[method-assign]  # torch has no hook for it
        try:
            yield
        finally:
            Optimizer.zero_grad = clear  # type: ignore[method-assign]  # likewise

    def _before_module(self, module: nn.Module, inputs: Any) -> None:
        # What is compiled is to be the network alone: its tracer would follow us in.
        if torch.compiler.is_compiling() or self._deaf:
            return
        scene = self.scene
        if not scene.inside:
            self._foreign.look()
        if not scene.inside and id(module) not in scene.networks:
            scene.networks[id(module)] = len(scene.networks)
            for name, each in module.named_modules():
                # A module in two networks keeps the name by which it was called first.
                scene.names.setdefault(id(each), name)
        scene.inside.append(module)
        self._tell(self._entered, module, inputs)

    def _after_module(self, module: nn.Module, inputs: Any, *rest: Any) -> None:
        if torch.compiler.is_compiling() or self._deaf:
            return
        # Where the module raised, torch gives no keywords.
        options, outputs = rest if len(rest) > 1 else ({}, rest[0])
        scene = self.scene
        node = _node_of(outputs)
        if node is not None:
            node.metadata.setdefault(LAYER, scene.names.get(id(module)) or None)
        network = scene.inside[0] if scene.inside else module
        if scene.inside:
            scene.inside.pop()
        call = Passed(
            module=module,
            inputs=inputs,
            options=options,
            outputs=outputs,
            network=network,
            with_gradients=torch.is_grad_enabled(),
        )
        self._tell(self._passed, call)

    def _before_step(self, optimizer: Optimizer, args: Any, options: Any) -> None:
        self.scene.optimizers.setdefault(id(optimizer), optimizer)
        self._tell(self._stepping, optimizer)
        # An optimizer's own arithmetic, a dozen calls for each tensor, is of no concern; a closure's is.
        self._step_over()
        if all(each is None for each in (*args[1:], *options.values())):
            self._stepping_alone = self._pop_mode()

    def _pop_mode(self) -> bool:
        """Cease to hear functions, where no mode of others is above; whether it was so."""
        modes = torch.overrides._get_current_function_mode_stack()
        topmost = bool(modes) and modes[-1] is self._mode
        if topmost:
            torch.overrides._pop_mode()
        return topmost

    def _step_over(self) -> None:
        if self._stepping_alone:
            self._stepping_alone = False
            torch.overrides._push_mode(self._mode)

    def _after_step(self, optimizer: Optimizer, _args: Any, _options: Any) -> None:
        self._step_over()
        self.scene.taken += 1
        if optimizer not in self._optimizers:
            self._optimizers.add(optimizer)
            self.scene.stepped += 1
        if self._open is not None:
            self._tell(self._stepped, optimizer)
        self.after_step(self.scene.taken)
        self._turn(self.wanted(self.scene.taken))

    def _who(self, event: str) -> list[Callable[..., None]]:
        """The ears' methods for an event, of those that listen for it."""
        return [getattr(ear, event) for ear in self.ears if getattr(type(ear), event) is not getattr(Ear, event)]

    def _tell(self, methods: list[Callable[..., None]], *given: Any) -> None:
        if self._deaf:
            return
        self.scene.wants_gradients = wanted = torch.is_grad_enabled()
        with torch._C.DisableTorchFunction():
            # What `torch.no_grad()` does, at a quarter of its time: this is run twice for each module that is called.
            torch._C._set_grad_enabled(False)
            try:
                for method in methods:
                    try:
                        method(*given)
                    except Exception as error:  # whatever it is, the script goes on
                        self._trouble(method, error)
            finally:
                torch._C._set_grad_enabled(wanted)

    def _undisturbed(self, work: Callable[..., None], *given: Any) -> None:
        """Observe without a trace: no graph, and no error of ours reaches the user's code; it is told instead."""
        if self._deaf:
            return
        try:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                work(*given)
        except Exception as error:  # whatever it is, the script goes on
            self._trouble(work, error)

    def _trouble(self, work: Callable[..., Any], error: Exception) -> None:
        said = f"{work.__qualname__}: {type(error).__name__}: {error}".splitlines()[0]
        if said not in self.troubles:
            self.troubles.append(said)


def _node_of(value: Any) -> Any:
    """A tensor's node of autograd's graph; None where it has none."""
    try:
        return value.grad_fn if isinstance(value, Tensor) else None
    except RuntimeError:
        # A view of a weight that was filled without gradients, as `nn.Embedding(..., padding_idx=0)` does, has none
        # that may be asked for.
        return None


def _why(error: Exception) -> str:
    if isinstance(error, UntoldError):
        return str(error)
    return f"in test mode the network raised {type(error).__name__}: {error}".splitlines()[0]


@contextmanager
def _unwarned(message: str) -> Iterator[None]:
    """A warning that is of our own making, and no word to the user, is not given; all others are."""
    warnings.filterwarnings("ignore", message=message)
    mine = warnings.filters[0]
    try:
        yield
    finally:
        with suppress(ValueError):
            warnings.filters.remove(mine)  # type: ignore[attr-defined]  # it is a list, typed as less


@contextmanager
def _on_stack(mode: TorchFunctionMode) -> Iterator[None]:
    """A mode in force, whichever others are entered and left meanwhile: torch takes the topmost away, not this one."""
    torch.overrides._push_mode(mode)
    try:
        yield
    finally:
        above = []
        while torch.overrides._get_current_function_mode_stack():
            topmost = torch.overrides._pop_mode()
            if topmost is mode:
                break
            above.append(topmost)
        for each in reversed(above):
            torch.overrides._push_mode(each)


class _Functions(TorchFunctionMode):
    """Leaves at each node of autograd's graph the user's line that made it, and tells of calls that ears want."""

    def __init__(self, wanted: dict[str, list[Ear]], undisturbed: Callable[..., None]) -> None:
        super().__init__()
        self.wanted, self.undisturbed = wanted, undisturbed

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if torch.compiler.is_compiling():
            return func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        try:
            found = func(*args, **(kwargs or {}))
        except Exception:
            for ear in self.wanted.get(name, ()):
                self.undisturbed(ear.refused, name, args, kwargs or {})
            raise
        node = _node_of(found)
        if node is not None and LINE not in node.metadata:
            node.metadata[LINE] = user_line(sys._getframe(1))
        for ear in self.wanted.get(name, ()):
            self.undisturbed(ear.called, name, args, kwargs or {}, found)
        return found
