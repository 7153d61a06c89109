"""A `belljar` whose guests are forked from a template: the same command line, the other engine.

`MAIN` is what `python -c` is given instead of `tiers.MAIN`. Runs that no template can serve
(`confine.template.why_not`) start as ever; they say so on standard error with
`BELLJAR_TEST_ENGINE=template!`.
"""

MAIN = """
import sys
import belljar.confine.plan
import belljar.sandbox.run as run
from belljar.cli import main
from belljar.confine import image
from belljar.confine.cache import cache_directory
from belljar.confine.keeper import Keeper
from belljar.confine.probe import probe
from belljar.confine.runtime import for_program
from belljar.confine.template import Template, why_not

plain = run.Session.__init__
held = []

def begin(self, policy, program, *rest, **more):
    plain(self, policy, program, *rest, **more)
    facts = probe(cache_directory())
    if not why_not(policy, facts.tier):
        runtime = for_program(program, cache_directory())
        shown = image.show(policy, runtime, facts.tier, cache_directory()).__enter__()
        template = Template(runtime, facts.tier, shown=shown.shown)
        held.append(template)
        run.Keeper = lambda streams, go: Keeper(streams, go, template)

run.Session.__init__ = begin
status = main()
for template in held:
    template.close()
sys.exit(status)
"""
