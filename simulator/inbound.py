"""Texts from handsets and their webhook."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.messages import Message, is_kept_here, media_type

_UNKNOWN_PLACES = ("FromCity", "FromState", "FromZip", "ToCity", "ToState", "ToZip")
_E164 = r"^\+[1-9]\d{6,14}$"


class InboundText(BaseModel):
    """A text from a handset.

    Attributes:
        media_urls: Addresses of pictures; `data:` for those that the simulator keeps.
        opt_out_type: As Advanced Opt-Out adds it.
        deliver: False lists the text but sends no webhook.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)

    from_number: Annotated[str, Field(validation_alias="from", pattern=_E164)]
    to: Annotated[str, Field(min_length=3, max_length=20)]
    body: Annotated[str, Field(max_length=1600)] = ""
    media_urls: Annotated[tuple[str, ...], Field(max_length=10)] = ()
    messaging_service_sid: str | None = None
    opt_out_type: Literal["STOP", "START", "HELP"] | None = None
    deliver: bool = True


def inbound_fields(
    account_sid: str, base_url: str, message: Message, opt_out_type: str | None = None
) -> dict[str, str]:
    """Return the form fields of an inbound webhook; unknown places are empty, as at Twilio.

    Pictures that are kept here are named by their address in the REST API, others as they came.
    """
    fields = {
        **message.webhook_fields(account_sid),
        **dict.fromkeys(_UNKNOWN_PLACES, ""),
        "FromCountry": "US",
        "ToCountry": "US",
        "SmsMessageSid": message.sid,
        "NumMedia": str(len(message.media_urls)),
        "NumSegments": str(message.num_segments),
        "Body": message.body,
    }
    if opt_out_type is not None:
        fields["OptOutType"] = opt_out_type
    for index, url in enumerate(message.media_urls):
        path = message.media_path(account_sid, index)
        fields[f"MediaUrl{index}"] = f"{base_url}{path}" if is_kept_here(url) else url
        fields[f"MediaContentType{index}"] = media_type(url)
    return fields
