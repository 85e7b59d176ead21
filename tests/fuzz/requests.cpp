#include <cstring>

#include <nlohmann/json.hpp>

#include "runtime/server/gql_execution.hpp"
#include "runtime/server/http/json_reader.hpp"
#include "runtime/server/http/message_parser.hpp"
#include "runtime/server/sdk_protocol.hpp"
#include "tests/fuzz/targets.hpp"

namespace caesura::fuzz {

namespace {

using nlohmann::json;

// What the API answers with 400; anything else would be 500 or the end of the process.
template <class Read>
void refuses_or_reads(const Read& read) {
  try {
    read();
  } catch (const error& e) {
    require(e.what()[0] != '\0', "an error without a text");
  } catch (const json::exception& e) {
    require(e.what()[0] != '\0', "an error without a text");
  }
}

void registration(const caesura::document& body) {
  const auto app = server::read_registration(body);
  require(!app.name.empty(), "an app without a name was accepted");
  for (const auto& fn : app.functions) {
    require(!fn.url.empty(), "a function without a URL was accepted");
    require(fn.definition.retries.retries <= 20, "more than 20 retries were accepted");
    if (const auto url = server::url_of_step(fn.url, "a&b")) require(url->find("stepId=a%26b") != std::string::npos, "a step's URL does not name it: " + *url);
  }
}

// May not throw at all: it is read where nobody would catch it.
void answer(int status, const std::string& body) {
  const auto read = server::read_response({.status = status, .headers = {{"x-inngest-sdk", "fuzz"}, {"retry-after", body.substr(0, 40)}}, .body = body});
  require(!read.error || !read.error->message.empty() || !read.error_details.is_null(), "a failure without a text");
  require(!read.is_given_up, "an answer counts as none");
}

void events(const caesura::document& body) {
  const auto told = body.json();
  for (const auto& one : told.is_array() ? told : json::array({told})) {
    const auto read = server::read_event(one);
    require(read.data.is_object(), "an event's data is no object");
    require(!read.data.json().contains("_inngest"), "a reserved member was accepted");
  }
}

// Reads as a connection does, so many bytes at a time, with small limits. What would find no room in its buffer is an exception, and so is not allowed.
template <bool is_request>
void message(const std::string& text, std::size_t piece_bytes) {
  constexpr std::size_t header_bytes = 256;
  constexpr std::size_t body_bytes = 64;
  boost::beast::flat_buffer buffer{header_bytes + piece_bytes};
  http::message_parser<is_request> parser{header_bytes, body_bytes};
  using found = typename http::message_parser<is_request>::found;
  boost::beast::error_code ec;
  std::size_t fields = 0;
  for (std::size_t at = 0; at < text.size() && !ec && !parser.is_done(); at += piece_bytes) {
    const auto piece = std::string_view{text}.substr(at, piece_bytes);
    std::memcpy(buffer.prepare(piece_bytes).data(), piece.data(), piece.size());
    buffer.commit(piece.size());
    while (parser.parse(buffer, ec) == found::header) fields = parser.headers.size();
  }
  require(parser.body.size() <= body_bytes, "a body is larger than it may be");
  require(ec || !parser.is_header_done() || parser.headers.size() == fields, "a trailer added to the header");
}

const server::graphql::schema types{{"Query", {{"run", "Run", {"id"}, {"id"}}, {"runs", "Run"}, {"one", "Any"}, {"count"}}},
                                    {"Mutation", {{"end", "", {"id"}}}},
                                    {"Run", {{"id"}, {"again", "Run"}}},
                                    {"Other", {{"length"}}},
                                    {"Any", {}, {"Run", "Other"}}};

void graphql(const std::string& text) {
  using namespace server::graphql;
  const auto run = std::make_shared<node>(node{.type = "Run", .scalars = {{"id", "1"}, {"again", nullptr}}});
  auto query = std::make_shared<node>(node{.type = "Query", .scalars = {{"count", 1}}});
  query->lookups = {{"run", [run](const json& arguments) -> field_value { return arguments.at("id") == "1" ? node_ptr{run} : node_ptr{}; }},
                    {"runs", [run](const json&) -> field_value { return std::vector<node_ptr>{run, run}; }},
                    {"one", [run](const json&) -> field_value { return run; }}};
  bool is_done = false;
  auto mutation = std::make_shared<node>(node{.type = "Mutation"});
  mutation->lookups = {{"end", [&](const json&) -> field_value {
                          is_done = true;
                          return json(true);
                        }}};
  const auto told = execute(types, query, mutation, text, {{"id", "1"}, {"yes", true}}, {});
  require(told.contains("data"), "neither data nor errors");
  if (told["data"].is_null()) require(!told["errors"].at(0)["message"].get<std::string>().empty() && !is_done, "a request was refused and carried out");
}

}  // namespace

void requests(bytes input) {
  if (input.empty()) return;
  const std::string body{reinterpret_cast<const char*>(input.data()) + 1, input.size() - 1};
  const auto parsed = [&](const auto& use) { refuses_or_reads([&] { use(http::parse_json(body)); }); };
  switch (input[0]) {
    case 'R': parsed(registration); break;
    case 'I': refuses_or_reads([&] { registration(server::registration_in_band(body, "http://h/api")); }); break;
    case 'C': parsed([](const caesura::document& told) { (void)server::read_checkpoint(told); }); break;
    case 'E': parsed(events); break;
    case 'P': answer(201, body); break;
    case 'F': answer(500, body); break;
    case 'G': graphql(body); break;
    case 'H':
      for (const std::size_t piece : {1U, 7U, 300U}) {
        message<true>(body, piece);
        message<false>(body, piece);
      }
      break;
    default:
      answer(206, body);
      answer(200, body);
  }
}

}  // namespace caesura::fuzz
