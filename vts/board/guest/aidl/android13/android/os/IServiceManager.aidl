// SPDX-License-Identifier: Apache-2.0
package android.os;

// Of Android 13 and 14, and of the first releases of 15. The order gives the methods their numbers; of all but one
// nothing else is needed.
interface IServiceManager {
    void getService();
    void checkService();
    void addService(@utf8InCpp String name, IBinder service, boolean allowIsolated, int dumpPriority);
}
