# What type checkers see in place of the names that __init__.py imports when they are used.
from mtpd.api import Experiment as Experiment
from mtpd.api import Model as Model
from mtpd.api import Order as Order
from mtpd.api import UserError as UserError
from mtpd.api import costs as costs
from mtpd.api import explain as explain
from mtpd.api import load as load
from mtpd.api import order as order
from mtpd.api import run as run

__version__: str
