"""Saved views of the list of instances: kept, shared, pinned, and opened by themselves.

The one rule: a view holds an address, never rows. Who opens it sees their own, and its count is theirs (V-1, V-3).
"""

from dataclasses import dataclass

from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import Prefetch, Q, QuerySet

from dashboard.models import Membership, Role, SavedView, ViewUse
from dashboard.services import audit
from dashboard.services.errors import Refused
from dashboard.services.instance_lists import Search, count_instances
from dashboard.services.visibility import sees_anything

MOST_PINNED = 6
COUNT_SECONDS = 5
AT_ONCE = "Another window changed this at the same moment. Look at how it is now, and do it again."


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants a view to be."""

    name: str
    query: str
    is_shared: bool = False
    is_pinned: bool = False
    is_replacing: bool = False


def views_of(membership: Membership) -> QuerySet[SavedView]:
    """The person's own views and the shared ones of the account, each with this person's `own_uses`."""
    rows = SavedView.objects.filter(account_id=membership.account_id)
    rows = rows.filter(Q(owner_id=membership.user_id) | Q(is_shared=True)).select_related("owner")
    mine = ViewUse.objects.filter(membership=membership)
    return rows.prefetch_related(Prefetch("uses", queryset=mine, to_attr="own_uses")).order_by("name", "pk")


def use_of(view: SavedView) -> ViewUse:
    """What this person does with a view that came from `views_of`."""
    uses: list[ViewUse] = view.own_uses  # type: ignore[attr-defined]  # set by the prefetch
    return uses[0] if uses else ViewUse()


def pinned_views(membership: Membership) -> list[SavedView]:
    """What stands above this person's list."""
    rows = views_of(membership).filter(uses__membership=membership, uses__is_pinned=True)
    return list(rows[:MOST_PINNED])


def default_view(membership: Membership) -> SavedView | None:
    """What opens when this person opens the list without naming anything."""
    return views_of(membership).filter(uses__membership=membership, uses__is_default=True).first()


def change_obstacle(view: SavedView, membership: Membership) -> str:
    """Why this person may not change or delete it; empty when they may."""
    if view.owner_id == membership.user_id or (view.is_shared and membership.role == Role.ADMIN):
        return ""
    return f"This view belongs to {view.owner}. {view.owner} or an admin can change it."


def save_view(membership: Membership, wish: Wish) -> SavedView:
    """Keep what the list shows under a name; a view of the same name is only replaced where the person said so."""
    mine = SavedView.objects.filter(account_id=membership.account_id, owner_id=membership.user_id)
    try:
        with transaction.atomic():
            view = mine.filter(name=wish.name).first()
            if view and not wish.is_replacing:
                raise Refused("You have a view with this name. Write another, or choose to replace it.", field="name")
            before = bool(view and view.is_shared)
            view = view or SavedView(account_id=membership.account_id, owner=membership.user, name=wish.name)
            view.query, view.is_shared = wish.query, wish.is_shared
            view.save()
            _record_change(view, membership, was_shared=before, is_new_inside=True)
    except IntegrityError as error:
        raise Refused("You have a view with this name. Write another.", field="name") from error
    if wish.is_pinned:
        pin(view, membership, is_pinned=True)
    return view


def change_view(view: SavedView, membership: Membership, *, name: str, is_shared: bool) -> None:
    """Another name, or other people."""
    refuse_strangers(view, membership)
    was_shared, is_renamed = view.is_shared, view.name != name
    view.name, view.is_shared = name, is_shared
    try:
        with transaction.atomic():
            view.save(update_fields=["name", "is_shared", "changed_at"])
            _record_change(view, membership, was_shared=was_shared, is_new_inside=is_renamed)
    except IntegrityError as error:
        raise Refused("There is a view of the same person with this name. Write another.", field="name") from error


def _record_change(view: SavedView, membership: Membership, *, was_shared: bool, is_new_inside: bool) -> None:
    """Views that only their owner sees are nobody else's business; shared ones are written down."""
    if view.is_shared and not was_shared:
        _record("view.shared", view, membership)
    elif was_shared and not view.is_shared:
        _record("view.unshared", view, membership)
    elif view.is_shared and is_new_inside:
        _record("view.changed", view, membership)


def _record(action: str, view: SavedView, membership: Membership) -> None:
    detail = {"owner": view.owner.sub}
    audit.record(action, actor=membership.user, account=membership.account, subject=view, detail=detail)


def delete_view(view: SavedView, membership: Membership) -> None:
    """For everybody who used it; written down when it was shared."""
    refuse_strangers(view, membership)
    with transaction.atomic():
        if SavedView.objects.filter(pk=view.pk).delete()[0] and view.is_shared:
            _record("view.deleted", view, membership)


def refuse_strangers(view: SavedView, membership: Membership) -> None:
    """Raise where this person may not change it."""
    if obstacle := change_obstacle(view, membership):
        raise Refused(obstacle)


def pin(view: SavedView, membership: Membership, *, is_pinned: bool) -> None:
    """Put it above this person's list, or take it away from there."""
    others = ViewUse.objects.filter(membership=membership, is_pinned=True).exclude(view=view)
    # One that its owner shares no longer takes no place.
    others = others.filter(Q(view__is_shared=True) | Q(view__owner_id=membership.user_id))
    if is_pinned and others.count() >= MOST_PINNED:
        raise Refused(f"{MOST_PINNED} views are pinned already. Unpin one first.", field="is_pinned")
    ViewUse.objects.update_or_create(membership=membership, view=view, defaults={"is_pinned": is_pinned})


def set_default(view: SavedView, membership: Membership, *, is_default: bool) -> None:
    """Open the list with it, or with all instances again."""
    try:
        with transaction.atomic():
            ViewUse.objects.filter(membership=membership, is_default=True).update(is_default=False)
            ViewUse.objects.update_or_create(membership=membership, view=view, defaults={"is_default": is_default})
    except IntegrityError as error:
        raise Refused(AT_ONCE) from error


def count_of(view: SavedView, membership: Membership, search: Search) -> int:
    """How many rows of the view this person may see, at most a few seconds old, and never from before a change of rights (V-3)."""
    standing = (membership.rights_version, membership.is_manager_now, sees_anything(membership))
    key = f"view:{view.pk}:{view.changed_at.timestamp()}:{membership.pk}:{standing}:{membership.account.version}"
    counted = cache.get_or_set(key.replace(" ", ""), lambda: count_instances(membership, search), COUNT_SECONDS)
    return int(counted or 0)
