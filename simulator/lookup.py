"""GET /v2/PhoneNumbers/{number}: Twilio Lookup v2.

Fields: https://www.twilio.com/docs/lookup/v2-api (2026-11).
"""

import phonenumbers
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from simulator.rest import check_credentials
from simulator.scenarios import LineType, scenario_of

router = APIRouter(dependencies=[Depends(check_credentials)])

_NULL_UNLESS_KNOWN = (
    "calling_country_code",
    "country_code",
    "national_format",
    "line_type_intelligence",
    "caller_name",
    "sim_swap",
    "call_forwarding",
    "line_status",
    "identity_match",
    "reassigned_number",
    "sms_pumping_risk",
    "phone_number_quality_score",
    "pre_fill",
)
_WITH_CARRIER = frozenset({"mobile", "landline", "fixedVoip", "nonFixedVoip"})


@router.get("/v2/PhoneNumbers/{number}")
async def look_up(number: str, request: Request) -> Response:
    """Look up a number; an invalid one is a 200 with ``valid`` false."""
    fields = request.query_params.get("Fields", "").split(",")
    line_type = scenario_of(number).line_type
    parsed, errors = _parse(number, line_type)
    document: dict[str, object] = dict.fromkeys(_NULL_UNLESS_KNOWN)
    document |= {
        "phone_number": number,
        "valid": not errors,
        "validation_errors": errors,
        "url": str(request.url.replace(query="")),
    }
    if parsed:
        region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
        national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
        document |= {
            "calling_country_code": str(parsed.country_code),
            "country_code": region,
            "national_format": national,
        }
    if "line_type_intelligence" in fields and not errors:
        document["line_type_intelligence"] = _intelligence(line_type)
    return JSONResponse(document)


def _parse(number: str, line_type: LineType) -> tuple[phonenumbers.PhoneNumber | None, list[str]]:
    """Return the parsed number and its validation errors."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None, ["NOT_A_NUMBER"]
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        is_local = reason == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY
        return None, ["TOO_SHORT" if is_local else phonenumbers.ValidationResult.to_string(reason)]
    return parsed, [] if line_type.valid else ["INVALID_BUT_POSSIBLE"]


def _intelligence(line_type: LineType) -> dict[str, object]:
    """Return the package of that name; ``carrier_name`` is null for types without carriers."""
    known = line_type.name in _WITH_CARRIER
    return {
        "type": line_type.name,
        "carrier_name": "Simulated Carrier" if known else None,
        "mobile_country_code": "310" if line_type.name == "mobile" else None,
        "mobile_network_code": "260" if line_type.name == "mobile" else None,
        "error_code": line_type.error_code,
    }
