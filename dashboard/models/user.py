"""A person of the console. Identity is (environment, Docusign `sub`), never e-mail; there is no password."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils.crypto import salted_hmac

if TYPE_CHECKING:
    from dashboard.models.account import Membership


class UserManager(BaseUserManager["User"]):
    """People come only through a Docusign sign-in, so there is no `create_user` with a password."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(pk=str(username))


class User(AbstractBaseUser):
    """One Docusign user of one environment."""

    class Theme(models.TextChoices):
        SYSTEM = "system", "Follow the system"
        LIGHT = "light", "Light"
        DARK = "dark", "Dark"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.CharField(max_length=16)
    sub = models.CharField("Docusign user id", max_length=64)
    name = models.CharField(max_length=255)
    email = models.CharField(max_length=320, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    time_zone_set_at = models.DateTimeField(null=True, help_text="Chosen by the person, or taken from their browser.")
    is_active = models.BooleanField(default=True)
    session_epoch = models.PositiveIntegerField(default=0, help_text="Counting up ends every session of this person.")
    created_at = models.DateTimeField(auto_now_add=True)

    # Where this person may work, for as long as the request lasts that read them; set by `services/accounts.py`.
    working_in: list[Membership]

    password = None  # type: ignore[assignment]  # Docusign is the only door, so there is nothing to store

    USERNAME_FIELD = "id"
    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["environment", "sub"], name="one_user_per_identity")]

    def __str__(self) -> str:
        return self.name or self.sub

    def get_session_auth_hash(self) -> str:
        """Sessions hold this; raising `session_epoch` makes all of them void at their next request."""
        return session_hash(self.pk, self.session_epoch)


def session_hash(user_id: uuid.UUID, session_epoch: int) -> str:
    """What the sessions of a person hold while this epoch lasts."""
    return salted_hmac("dashboard.user.session", f"{user_id}:{session_epoch}", algorithm="sha256").hexdigest()
