#include "runtime/server/gql_api.hpp"

namespace caesura::server {

const graphql::schema& gql_schema() {
  static const graphql::schema types{
      {"Query",
       {{"run", "FunctionRunV2", {"runID"}, {"runID"}},
        {"runs", "RunsV2Connection", {"first", "after", "orderBy", "filter", "preview"}},
        {"functionRun", "FunctionRun", {"query"}, {"query"}},
        {"runTraceSpanOutputByID", "RunTraceSpanOutput", {"outputID"}, {"outputID"}},
        {"eventV2", "EventV2", {"id"}, {"id"}},
        {"eventsV2", "EventsConnection", {"first", "after", "filter"}},
        {"events", "Event", {"query"}},
        {"functions", "Function"},
        {"functionBySlug", "Function", {"query"}, {"query"}},
        {"apps", "App", {"filter"}}}},
      {"Mutation",
       {{"cancelRun", "FunctionRun", {"runID"}, {"runID"}},
        {"rerun", "", {"runID", "fromStep", "debugRunID", "debugSessionID"}, {"runID"}},
        {"invokeFunction", "", {"functionSlug", "data", "user", "debugRunID", "debugSessionID"}, {"functionSlug"}}}},
      {"FunctionRunV2",
       {{"id"}, {"status"}, {"traceID"}, {"isBatch"}, {"batchCreatedAt"}, {"cronSchedule"}, {"queuedAt"}, {"startedAt"}, {"endedAt"}, {"output"}, {"eventName"},
        {"triggerIDs"}, {"functionID"}, {"appID"}, {"function", "Function"}, {"app", "App"}, {"trace", "RunTraceSpan", {"preview"}}}},
      {"FunctionRun", {{"id"}, {"status"}, {"output"}, {"startedAt"}, {"finishedAt"}, {"functionID"}, {"eventID"}, {"function", "Function"}, {"event", "Event"}}},
      {"RunTraceSpan",
       {{"runID"}, {"spanID"}, {"parentSpanID"}, {"traceID"}, {"isRoot"}, {"name"}, {"status"}, {"attempts"}, {"queuedAt"}, {"startedAt"}, {"endedAt"}, {"duration"},
        {"outputID"}, {"stepOp"}, {"stepID"}, {"stepType"}, {"stepInfo", "StepInfo"}, {"metadata", "SpanMetadata"}, {"childrenSpans", "RunTraceSpan"}}},
      {"SpanMetadata", {{"scope"}, {"kind"}, {"values"}, {"updatedAt"}}},
      {"StepInfo", {}, {"InvokeStepInfo", "SleepStepInfo", "WaitForEventStepInfo", "WaitForSignalStepInfo", "RunStepInfo"}},
      {"InvokeStepInfo", {{"triggeringEventID"}, {"functionID"}, {"timeout"}, {"returnEventID"}, {"runID"}, {"timedOut"}}},
      {"SleepStepInfo", {{"sleepUntil"}}},
      {"WaitForEventStepInfo", {{"eventName"}, {"expression"}, {"timeout"}, {"foundEventID"}, {"timedOut"}}},
      {"WaitForSignalStepInfo", {{"signal"}, {"timeout"}, {"timedOut"}}},
      {"RunStepInfo", {{"type"}}},
      {"RunTraceSpanOutput", {{"data"}, {"input"}, {"error", "StepError"}}},
      {"StepError", {{"name"}, {"message"}, {"stack"}, {"cause"}}},
      {"RunsV2Connection", {{"edges", "RunsV2Edge"}, {"pageInfo", "PageInfo"}, {"totalCount", "", {"preview"}}}},
      {"RunsV2Edge", {{"cursor"}, {"node", "FunctionRunV2"}}},
      {"PageInfo", {{"hasNextPage"}, {"hasPreviousPage"}, {"startCursor"}, {"endCursor"}}},
      {"EventsConnection", {{"edges", "EventsEdge"}, {"pageInfo", "PageInfo"}}},
      {"EventsEdge", {{"cursor"}, {"node", "EventV2"}}},
      {"EventV2", {{"id"}, {"name"}, {"idempotencyKey"}, {"raw"}, {"source"}, {"receivedAt"}, {"occurredAt"}, {"runs", "FunctionRunV2"}}},
      {"Event", {{"id"}, {"name"}, {"payload"}, {"createdAt"}, {"functionRuns", "FunctionRun"}}},
      {"Function", {{"id"}, {"name"}, {"slug"}, {"url"}, {"appID"}, {"config"}, {"triggers", "FunctionTrigger"}, {"app", "App"}}},
      {"FunctionTrigger", {{"type"}, {"value"}, {"condition"}}},
      {"App", {{"id"}, {"name"}, {"externalID"}, {"url"}, {"sdkLanguage"}, {"sdkVersion"}, {"functionCount"}, {"functions", "Function"}}},
  };
  return types;
}

}  // namespace caesura::server
