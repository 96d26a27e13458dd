"""The one Docusign that this console is configured for. Its one rule: hosts come from the settings, never from a request."""

from django.conf import settings

from maestro_api import DEMO, PRODUCTION, Environment, OAuthClient, simulator_environment

# Shorter than the lease of a refresh, so that no second process starts while the first still waits.
DEADLINE_SECONDS = 10.0
PUBLIC = {"demo": DEMO, "production": PRODUCTION}


def environment() -> Environment:
    """The configured environment: OAuth server and API belong together (O-4)."""
    if settings.DOCUSIGN_ENVIRONMENT == "simulator":
        return simulator_environment(settings.DOCUSIGN_SIMULATOR_URL, settings.DOCUSIGN_API_URL or None)
    return PUBLIC[settings.DOCUSIGN_ENVIRONMENT]


def oauth_client() -> OAuthClient:
    """The confidential client; the redirect address is exactly the configured one (O-5)."""
    return OAuthClient(
        environment(),
        settings.DOCUSIGN_CLIENT_ID,
        settings.DOCUSIGN_CLIENT_SECRET,
        settings.DOCUSIGN_REDIRECT_URI,
        deadline=DEADLINE_SECONDS,
    )
