// Stands for yours.
export const pushNotificationService = {
  async push(userId, text) {
    console.log(`push to ${userId}: ${text}`);
  },
};
