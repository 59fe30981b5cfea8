"""Routes of users and their tokens."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api import paging
from api.dependencies import AdminOnly, CurrentUser, ServicesDep
from api.paging import PageQuery
from api.schemas import Listing, MadeToken, NewToken, NewUser, Token, TokenList, User

router = APIRouter(tags=["users"])

_SORT = "created_at"
_SORT_KINDS: dict[str, type[str] | type[datetime]] = {_SORT: datetime}


@router.get("/me")
async def get_me(user: CurrentUser) -> User:
    """Say whose token this is."""
    return User.model_validate(user)


# No Idempotency-Key below: neither a password nor a token may be stored, not even hashed quickly.


@router.post("/users", status_code=201, dependencies=[AdminOnly])
async def create_user(body: NewUser, services: ServicesDep) -> User:
    """Add a user. 409 `email_taken` if the address is in use, in whatever case."""
    user = await services.users.create(
        email=body.email, role=body.role, name=body.name, password=body.password
    )
    return User.model_validate(user)


@router.get("/users", dependencies=[AdminOnly])
async def list_users(query: Annotated[PageQuery, Query()], services: ServicesDep) -> Listing[User]:
    """List users in the order they were made."""
    after = paging.decode(query.cursor, _SORT, _SORT_KINDS)
    page = await services.users.find(after=after, limit=query.limit)
    return paging.listing(page, User, _SORT)


@router.post("/users/{user_id}/tokens", status_code=201, dependencies=[AdminOnly])
async def create_token(user_id: UUID, body: NewToken, services: ServicesDep) -> MadeToken:
    """Make a token. It is shown in this answer and never again."""
    made = await services.users.create_token(user_id, name=body.name, expires_at=body.expires_at)
    return MadeToken(token=made.token, **vars(made.details))


@router.get("/users/{user_id}/tokens", dependencies=[AdminOnly])
async def list_tokens(user_id: UUID, services: ServicesDep) -> TokenList:
    """List a user's tokens, revoked and expired ones too, the newest first."""
    tokens = await services.users.tokens_of(user_id)
    return TokenList(items=[Token.model_validate(token) for token in tokens])


@router.delete("/users/{user_id}/tokens/{token_id}", status_code=204, dependencies=[AdminOnly])
async def revoke_token(user_id: UUID, token_id: UUID, services: ServicesDep) -> None:
    """Make a token useless from now on; once more does no harm."""
    await services.users.revoke_token(user_id, token_id)
