// SPDX-License-Identifier: Apache-2.0
package android.os;

// Of later releases of Android 15. The order gives the methods their numbers; of all but one
// nothing else is needed.
interface IServiceManager {
    void getService();
    void getService2();
    void checkService();
    void addService(@utf8InCpp String name, IBinder service, boolean allowIsolated, int dumpPriority);
    void listServices();
    void registerForNotifications();
    void unregisterForNotifications();
    void isDeclared();
    void getDeclaredInstances();
    void updatableViaApex();
    void getUpdatableNames();
    void getConnectionInfo();
    void registerClientCallback();
    void tryUnregisterService();
    void getServiceDebugInfo();
}
