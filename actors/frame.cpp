#include "actors/frame.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <typeinfo>
#include <utility>

#include "actors/limits.hpp"
#include "storage/document_view.hpp"

namespace caesura::actors {

namespace {

std::string readable(const std::type_info& type) {
  int status = 0;
  char* const name = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  std::string result = status == 0 && name != nullptr ? name : type.name();
  std::free(name);  // NOLINT: __cxa_demangle allocates with malloc
  return result;
}

}  // namespace

recorded_error describe_current_exception() {
  const std::type_info* const type = abi::__cxa_current_exception_type();
  recorded_error result{.name = type != nullptr ? readable(*type) : "unknown", .message = {}};
  try {
    throw;
  } catch (const std::exception& e) {
    result.message = e.what();
  } catch (const std::string& text) {
    result.message = text;
  } catch (const char* text) {
    result.message = text;
  } catch (...) {
    result.message = "an exception that is no std::exception";
  }
  return storable(std::move(result));
}

recorded_error storable(recorded_error error) {
  for (auto* text : {&error.name, &error.message}) {
    if (text->size() > error_text_bytes || !storage::is_utf8(*text)) *text = storage::to_utf8(*text, error_text_bytes);
  }
  return error;
}

frame::~frame() = default;

detail::operation* frame::find_pending(std::string_view id) const noexcept {
  const auto found = std::ranges::find_if(pending_, [&](const detail::operation* op) { return op->id == id; });
  return found == pending_.end() ? nullptr : *found;
}

}  // namespace caesura::actors
