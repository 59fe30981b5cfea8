"""The route of the rule packs."""

from fastapi import APIRouter

from api.schemas.base import Listing
from api.schemas.platform import RulePack
from domain.sequences.rule_packs import PACKS

router = APIRouter(prefix="/rule-packs", tags=["settings"])


@router.get("")
async def list_rule_packs() -> Listing[RulePack]:
    """List the rule packs that ship: when the law lets texts go, jurisdiction by jurisdiction.

    A text of a `marketing` sequence goes under those that the workspace has chosen
    (`rule_packs` of `GET /api/settings`) and that cover a jurisdiction which its contact may be
    under; where that is not known, under all that are possible. They are an engineer's reading,
    most of it from secondary sources, and no legal advice. All of them are on one page.
    """
    packs = [RulePack.model_validate(one) for one in PACKS.values()]
    return Listing[RulePack](items=packs, next_cursor=None)
