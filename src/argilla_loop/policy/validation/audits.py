"""How many records of a slice are audited while accepting waits for evidence."""

from __future__ import annotations


def audits_of_slice(size: int, *, above: float, missing: int, human: int, checked: int) -> int:
    """Return how many of ``size`` records are audited; the others are asked as the query strategy chooses.

    It depends on what a record brings either way, in texts that people need not label, as a share of those left:

    - an audit: of the ``missing`` ones that open the texts ``above`` the threshold it brings its part, above / missing;
    - a question that the strategy chooses: the share below the threshold falls about as one over the number of
      examples (a learning curve by a power law with exponent 1, which favours learning: Hestness et al. 2017 find 0.07
      to 0.5 for deep networks), so with ``human`` of them the next one brings (1 - above) / human.

    The slice is divided in proportion to the two. So little is audited while the model is sure of few texts, and nearly
    everything once only evidence is missing. The first audits are at most half of the slice, as they may show at once
    that the model is not what it takes itself for. Auditing whole slices as soon as an audit brings more was tried: it
    was no faster, and the model learnt less (docs/architecture.md).

    Args:
        size: of the slice.
        above: share of the texts left that would be opened.
        missing: number of right checks that are missing, at least.
        human: number of human examples.
        checked: number of audit results so far.
    """
    if not missing or not size or not above:
        return 0
    audit, question = above / missing, (1 - above) / max(human, 1)
    share = audit / (audit + question)
    return max(round(size * (share if checked else min(share, 0.5))), 1)
