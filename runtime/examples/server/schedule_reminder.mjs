// The example of Inngest's page on cancellation, as it stands there for v4. It names no types, so Node runs it as it is.
import { Inngest } from "inngest";
import { pushNotificationService } from "./push_notification_service.mjs";

export const inngest = new Inngest({ id: "acme-app" });

export const scheduleReminder = inngest.createFunction(
  {
    id: "schedule-reminder",
    triggers: [{ event: "tasks/reminder.created" }],
    cancelOn: [{
      event: "tasks/deleted", // The event name that cancels this function
      // Ensure the cancellation event (async) and the triggering event (event)'s data.id are the same:
      if: "event.data.id == async.data.id",
    }],
  },
  async ({ event, step }) => {
    await step.sleepUntil("sleep-until-remind-at-time", event.data.remindAt);
    await step.run("send-reminder-push", async () => {
      await pushNotificationService.push(event.data.userId, event.data.reminderBody);
    });
  },
);
