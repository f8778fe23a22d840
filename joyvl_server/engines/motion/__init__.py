"""The built-in engine `motion`."""

from joyvl_server.engines.motion.engine import MotionEngine

__all__ = ["MotionEngine"]
