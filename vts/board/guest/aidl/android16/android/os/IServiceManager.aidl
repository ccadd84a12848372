// SPDX-License-Identifier: Apache-2.0
package android.os;

// Of Android 16 and 17. The order gives the methods their numbers; of all but one
// nothing else is needed.
interface IServiceManager {
    void getService();
    void getService2();
    void checkService();
    void checkService2();
    void addService(@utf8InCpp String name, IBinder service, boolean allowIsolated, int dumpPriority);
}
