"""What an OTLP receiver and sender must do, point by point, and which tests say so: each named test must be there.

The points are those of a checklist made of the OTLP specification 1.11, the Collector's conventions, and its known failures.
"""

import ast
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

TESTS: Final = Path(__file__).parents[2]
HERE: Final = "collect/receivers"


class Point(NamedTuple):
    """What must be so, and where it is tested: module, then names of tests."""

    what: str
    tests: dict[str, str]


POINTS: Final[dict[int, Point]] = {
    1: Point(
        "signals, encodings and compressions: 200 with the same type and an empty response; profiles are refused by name",
        {
            f"{HERE}/test_http": "test_a_full_success_is_empty_in_the_requests_type test_other_paths_are_not_found",
            f"{HERE}/test_grpc": "test_a_full_success_is_an_empty_message test_a_service_that_is_not_there",
        },
    ),
    2: Point(
        "content types with parameters and capitals",
        {f"{HERE}/test_http": "test_a_content_type_may_have_parameters_and_capitals"},
    ),
    3: Point(
        "nothing, `{}`, and envelopes around nothing are a success",
        {
            f"{HERE}/test_http": "test_an_empty_request_is_a_success test_other_json_is_a_success_with_a_warning",
            f"{HERE}/test_grpc": "test_an_empty_request_is_a_success",
        },
    ),
    4: Point(
        "bad data: 400 or INVALID_ARGUMENT, with a Status in the request's encoding",
        {
            f"{HERE}/test_http": "test_bad_data_is_a_status_in_the_requests_encoding",
            f"{HERE}/test_grpc": "test_bad_data_is_an_invalid_argument",
        },
    ),
    5: Point(
        "405 with Allow, 404, 415, each with a Status",
        {
            f"{HERE}/test_http": "test_other_methods_are_refused test_other_paths_are_not_found test_other_types_are_refused",
            f"{HERE}/test_patience": "test_what_is_no_http_is_answered_with_a_status",
        },
    ),
    6: Point(
        "bad, unknown and stacked encodings are refused; gzip of several members is one body, as RFC 1952 has it",
        {
            f"{HERE}/test_http": "test_other_encodings_are_refused test_a_body_that_is_not_what_it_says_is_refused "
            "test_gzip_of_several_members_is_one_body",
            f"{HERE}/test_patience": "test_encodings_in_two_headers_are_stacked_encodings",
            f"{HERE}/test_bodies": "test_harmed_bodies_are_the_clients_fault test_many_empty_parts_are_refused",
        },
    ),
    7: Point(
        "the limit is exact, before and after decompression: 413, in bounded memory, and the client hears it",
        {
            f"{HERE}/test_http": "test_the_limit_is_exact test_whoever_sends_far_too_much_hears_it "
            "test_what_is_not_wanted_need_not_be_sent",
            f"{HERE}/test_bombs": "test_bombs_over_http_are_refused_in_bounded_memory",
        },
    ),
    8: Point(
        "over gRPC the same is RESOURCE_EXHAUSTED without RetryInfo",
        {
            f"{HERE}/test_grpc": "test_the_limit_is_exact test_clients_of_other_makes_hear_the_same",
            f"{HERE}/test_bombs": "test_bombs_over_grpc_are_refused_in_bounded_memory",
        },
    ),
    9: Point(
        "ids of any case, wrong length, no hex, all zeros",
        {
            f"{HERE}/test_answers": "test_spans_with_wrong_ids_are_counted_out test_an_id_that_is_no_hex_has_a_defined_outcome"
        },
    ),
    10: Point(
        "integers as text and number, `1e3`, beyond 2^53, all of fixed64, NaN, Infinity, -0",
        {
            f"{HERE}/test_conformance_values": "test_an_integer_may_be_text_or_number "
            "test_a_double_may_be_anything_that_a_double_can test_a_time_of_64_bits_is_exact"
        },
    ),
    11: Point(
        "enums are numbers only; unknown fields, snake_case among them, are ignored, and kept where the bytes go on",
        {
            f"{HERE}/test_conformance_values": "test_an_enum_is_a_number_and_only_that "
            "test_unknown_fields_are_ignored_at_every_level"
        },
    ),
    12: Point(
        "values of all kinds, and of any depth",
        {
            f"{HERE}/test_conformance_values": "test_a_value_of_each_kind_is_stored_the_same_whatever_way_it_came "
            "test_a_deep_value_is_stored_or_refused_and_overflows_nothing"
        },
    ),
    13: Point(
        "every field of the schema: all types of metrics, exemplars, links, events, states, logs without time",
        {
            f"{HERE}/test_conformance_values": "test_every_field_of_the_schema_is_stored_the_same_whatever_way_it_came "
            "test_a_time_of_64_bits_is_exact"
        },
    ),
    14: Point(
        "partial success: the exact count; a warning has none",
        {f"{HERE}/test_answers": "test_spans_with_wrong_ids_are_counted_out test_a_warning_rejects_nothing"},
    ),
    15: Point(
        "overload: 503 or 429 with Retry-After, UNAVAILABLE with RetryInfo; afterwards clients deliver everything once",
        {
            f"{HERE}/test_answers": "test_what_a_retry_can_help_says_so "
            "test_real_clients_deliver_everything_exactly_once_after_an_overload",
            f"{HERE}/test_http": "test_a_full_budget_asks_to_come_again",
            f"{HERE}/test_settings": "test_connections_beyond_the_limit_are_told_to_come_again",
        },
    ),
    16: Point(
        "slow clients, pipelines, Expect: 100-continue, connections that are kept, HTTP/2 where it is not offered",
        {
            f"{HERE}/test_http": "test_a_slow_client_harms_nobody test_a_body_that_stops_coming_is_not_waited_for "
            "test_who_will_send_no_more_still_gets_its_answers "
            "test_requests_on_one_connection_are_answered_in_order test_what_is_not_wanted_need_not_be_sent "
            "test_bytes_that_are_no_http_end_the_connection_only",
            f"{HERE}/test_patience": "test_a_head_that_does_not_end_is_not_waited_for test_a_body_that_drips_ends_with_its_time "
            "test_a_head_without_bounds_is_cut_off test_a_connection_that_is_kept_is_timed_by_its_own_rule",
            f"{HERE}/test_settings": "test_without_keep_alives_each_answer_ends_its_connection",
        },
    ),
    17: Point(
        "a browser's preflight is answered without authentication; another origin is told nothing",
        {
            f"{HERE}/test_conformance_access": "test_a_browsers_preflight_needs_no_token_and_is_told_what_is_allowed "
            "test_a_page_of_another_origin_is_told_nothing",
            f"{HERE}/test_settings": "test_an_allowed_origin_is_no_pattern_but_for_its_stars",
        },
    ),
    18: Point(
        "no token or a wrong one: 401 or UNAUTHENTICATED; the health port asks for none",
        {
            f"{HERE}/test_conformance_access": "test_only_who_has_the_token_comes_in_over_http "
            "test_only_who_has_the_token_comes_in_over_grpc test_the_health_port_asks_for_no_token "
            "test_strangers_keep_nobody_waiting"
        },
    ),
    19: Point(
        "TLS from 1.2 on, mutual TLS, certificates and authorities renewed while it runs",
        {
            f"{HERE}/test_conformance_access": "test_a_renewed_certificate_is_there_for_the_next_connection "
            "test_with_an_authority_for_clients_only_its_clients_come_in "
            "test_another_authority_for_clients_is_read_without_a_restart test_tls_begins_at_1_2 "
            "test_the_versions_of_tls_can_be_chosen_over_http test_what_the_grpc_library_cannot_do_is_refused_and_not_ignored "
            "test_nothing_is_said_without_tls_where_tls_is_on"
        },
    ),
    20: Point("a socket in the file system", {f"{HERE}/test_conformance_access": "test_a_unix_socket"}),
    21: Point(
        "SIGTERM under load: what was acknowledged is there, what was not was not taken; real clients deliver everything once",
        {
            "collect/test_collect_kills": "test_stopped_under_load_it_answers_whom_it_takes_from "
            "test_official_exporters_get_everything_through_stops_and_starts",
            "collect/test_collect_processes": "test_a_signal_stops_it_with_everything_acknowledged_kept",
        },
    ),
    22: Point(
        "SIGKILL under load: what was acknowledged (its answer came) is durable, once",
        {
            "collect/test_collect_kills": "test_killed_under_load_it_has_what_it_acknowledged "
            "test_a_killed_process_of_several_is_replaced_under_load",
            "walk/test_collect": "test_what_was_acknowledged_is_there_after_a_kill",
        },
    ),
    23: Point(
        "as a client: waits as it is told, sends again what may be and nothing else",
        {
            "collect/exporters/test_retry": "test_only_four_http_statuses_are_retried "
            "test_grpc_codes_are_retried_as_the_specification_lists_them test_retry_after_is_seconds_or_a_date "
            "test_a_partial_success_says_how_many_in_both_encodings",
            "collect/exporters/test_sending": "test_what_is_refused_for_now_arrives_once "
            "test_a_backend_that_throttles_is_given_the_time_it_asks_for test_nothing_is_sent_again_after_a_permanent_error "
            "test_a_partial_success_is_counted_on_both_sides_and_not_sent_again "
            "test_a_backend_that_hangs_and_comes_back_gets_it",
        },
    ),
    24: Point(
        "what was archived goes on as the bytes that came",
        {f"{HERE}/test_conformance_values": "test_what_is_sent_on_from_the_archive_is_the_bytes_that_came"},
    ),
    25: Point(
        "an answer is always below 4 MiB",
        {f"{HERE}/test_answers": "test_a_warning_rejects_nothing test_what_no_retry_can_help_says_so"},
    ),
}


@cache
def _tests_of(module: str) -> set[str]:
    tree = ast.parse((TESTS / f"{module}.py").read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("number", range(1, 26))
def test_each_point_is_tested(number: int) -> None:
    """By tests that are there."""
    point = POINTS[number]
    assert point.tests
    for module, names in point.tests.items():
        assert set(names.split()) - _tests_of(module) == set(), module
