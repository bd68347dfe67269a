/* A fake NVML driver library for tests on machines without a GPU.
 *
 *   gcc -O1 -Wall -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 fake_nvml.c
 *   LD_LIBRARY_PATH=<its folder> FAKE_NVML=<state file> python ...
 *
 * The state file is read again at every call, so a test changes the "hardware" under a running
 * process by os.replace()ing the file.  One record per line, words split at blanks, '#' comments:
 *
 *   driver=575.57.08 cuda=12090 init_error=9
 *   gpu name=NVIDIA_H100_80GB_HBM3 uuid=GPU-... total_mb=81559 used_mb=3 util=0 mem_util=0 temp=31
 *       power_mw=70000 limit_mw=700000 cc=90 mig=-1|0|1 numa=0 switch=0 nvlinks=18 error=15
 *   mig gpu=0 uuid=MIG-... name=... total_mb=20096 used_mb=5     a slice of a gpu that has mig=1
 *   proc gpu=0 pid=4242 mb=1024 mig=0                            mig: which slice of all; none without
 *   fail fn=nvmlDeviceGetTemperature gpu=1 error=3        (gpu=-1: every gpu)
 *
 * Without a file: FAKE_NVML_GPUS (default 4) identical H100s. '_' in a name stands for a blank.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, UNINIT = 1, INVALID = 2, UNSUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, BAD_VERSION = 25 };
enum { MAX_GPUS = 32, MAX_PROCS = 128, MAX_FAILS = 32, MAX_MIGS = 32 };

typedef unsigned int u32;
typedef unsigned long long u64;
typedef struct {
    char name[96], uuid[80];
    u64 total, used;
    u32 util, mem_util, temp, power, limit, cc, nvlinks;
    int mig, numa, pcie_switch, error;
    int parent; /* of a slice; -1 for a whole gpu */
} Gpu;
typedef struct { int gpu, mig; u32 pid; u64 used; } Proc;
typedef struct { char fn[64]; int gpu, error; } Fail;
typedef struct {
    char driver[80];
    int cuda, init_error, gpus, procs, fails, migs;
    Gpu gpu[MAX_GPUS], slice[MAX_MIGS];
    Proc proc[MAX_PROCS];
    Fail fail[MAX_FAILS];
} State;

typedef struct { u64 total, free, used; } Memory;
typedef struct { u32 version; u64 total, reserved, free, used; } Memory2;
typedef struct { u32 gpu, memory; } Utilization;
typedef struct { u32 pid; u64 used; u32 gpu_instance, compute_instance; } ProcessInfo;
typedef struct { char legacy[16]; u32 domain, bus, device, device_id, subsystem_id; char id[32]; } PciInfo;
typedef struct { u32 version, sensor; int temperature; } Temperature;
typedef const char *Handle; /* &slot[i]: opaque to the caller, never dereferenced */

static char slot[MAX_GPUS], mig_slot[MAX_MIGS];
static int refs;

static void add_gpu(State *s)
{
    Gpu *g = &s->gpu[s->gpus];
    memset(g, 0, sizeof *g);
    strcpy(g->name, "NVIDIA H100 80GB HBM3");
    snprintf(g->uuid, sizeof g->uuid, "GPU-fa4e0000-0000-4000-8000-%012x", s->gpus);
    g->total = 81559ull << 20, g->used = 3ull << 20;
    g->temp = 31, g->power = 70000, g->limit = 700000, g->cc = 90, g->mig = 0, g->nvlinks = 18, g->parent = -1;
    s->gpus++;
}

static Gpu *add_slice(State *s)
{
    Gpu *g = &s->slice[s->migs];
    memset(g, 0, sizeof *g);
    strcpy(g->name, "NVIDIA H100 80GB HBM3 MIG 1g.10gb");
    snprintf(g->uuid, sizeof g->uuid, "MIG-fa4e0000-0000-4000-9000-%012x", s->migs++);
    g->total = 9984ull << 20, g->used = 5ull << 20, g->cc = 90, g->mig = -1;
    return g;
}

static void parse(State *s, char *line)
{
    char *save, *kind, *word;
    line[strcspn(line, "#\r\n")] = 0;
    if (!(kind = strtok_r(line, " \t", &save))) return;
    Gpu *g = NULL; Proc *p = NULL; Fail *f = NULL;
    if (!strcmp(kind, "gpu") && s->gpus < MAX_GPUS) add_gpu(s), g = &s->gpu[s->gpus - 1];
    else if (!strcmp(kind, "mig") && s->migs < MAX_MIGS) g = add_slice(s);
    else if (!strcmp(kind, "proc") && s->procs < MAX_PROCS) p = &s->proc[s->procs++], p->mig = -1;
    else if (!strcmp(kind, "fail") && s->fails < MAX_FAILS) f = &s->fail[s->fails++], f->gpu = -1;
    word = g || p || f ? strtok_r(NULL, " \t", &save) : kind;
    for (; word; word = strtok_r(NULL, " \t", &save)) {
        char *v = strchr(word, '=');
        if (!v) continue;
        *v++ = 0;
        long long n = atoll(v);
#define KEY(k) (!strcmp(word, k))
        if (g) {
            if KEY("name") { snprintf(g->name, sizeof g->name, "%s", v); for (char *c = g->name; *c; c++) if (*c == '_') *c = ' '; }
            else if KEY("uuid") snprintf(g->uuid, sizeof g->uuid, "%s", v);
            else if KEY("total_mb") g->total = (u64)n << 20; else if KEY("used_mb") g->used = (u64)n << 20;
            else if KEY("util") g->util = n; else if KEY("mem_util") g->mem_util = n;
            else if KEY("temp") g->temp = n; else if KEY("power_mw") g->power = n; else if KEY("limit_mw") g->limit = n;
            else if KEY("cc") g->cc = n; else if KEY("mig") g->mig = n; else if KEY("numa") g->numa = n;
            else if KEY("switch") g->pcie_switch = n; else if KEY("nvlinks") g->nvlinks = n; else if KEY("error") g->error = n;
            else if KEY("gpu") g->parent = n;
        } else if (p) {
            if KEY("gpu") p->gpu = n; else if KEY("mig") p->mig = n; else if KEY("pid") p->pid = n; else if KEY("mb") p->used = (u64)n << 20;
        } else if (f) {
            if KEY("fn") snprintf(f->fn, sizeof f->fn, "%s", v); else if KEY("gpu") f->gpu = n; else if KEY("error") f->error = n;
        } else {
            if KEY("driver") snprintf(s->driver, sizeof s->driver, "%s", v);
            else if KEY("cuda") s->cuda = n; else if KEY("init_error") s->init_error = n;
        }
    }
}

static void load(State *s)
{
    const char *path = getenv("FAKE_NVML"), *count = getenv("FAKE_NVML_GPUS");
    char line[1024];
    FILE *in = path ? fopen(path, "re") : NULL;
    memset(s, 0, sizeof *s);
    strcpy(s->driver, "575.57.08"), s->cuda = 12090;
    if (!in) {
        for (int n = count ? atoi(count) : 4; n-- > 0 && s->gpus < MAX_GPUS;) add_gpu(s);
        return;
    }
    while (fgets(line, sizeof line, in)) parse(s, line);
    fclose(in);
}

static int failing(const State *s, const char *fn, int gpu)
{
    for (int i = 0; i < s->fails; i++)
        if (!strcmp(s->fail[i].fn, fn) && (s->fail[i].gpu < 0 || s->fail[i].gpu == gpu)) return s->fail[i].error;
    return OK;
}

static int device(State *s, Handle h, const char *fn, Gpu **g)
{
    if (!refs) return UNINIT;
    load(s);
    if (h >= mig_slot && h < mig_slot + s->migs) {
        *g = &s->slice[h - mig_slot];
        return s->gpu[(*g)->parent].error;
    }
    if (h < slot || h >= slot + s->gpus) return INVALID;
    *g = &s->gpu[h - slot];
    return (*g)->error ? (*g)->error : failing(s, fn, h - slot);
}

static int copy(char *to, u32 room, const char *from)
{
    if (room <= strlen(from)) return TOO_SMALL;
    strcpy(to, from);
    return OK;
}

#define SYSTEM State s; load(&s); if (!refs) return UNINIT; int e = failing(&s, __func__, -1); if (e) return e
#define DEVICE State s; Gpu *g; int e = device(&s, h, __func__, &g); if (e) return e

int nvmlInitWithFlags(u32 flags)
{
    State s; load(&s);
    if (s.init_error) return s.init_error;
    __sync_fetch_and_add(&refs, 1);
    return OK;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlInit(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { if (!refs) return UNINIT; __sync_fetch_and_sub(&refs, 1); return OK; }
const char *nvmlErrorString(int e) { return e == OK ? "Success" : e == 15 ? "GPU is lost" : "fake NVML error"; }
int nvmlSystemGetDriverVersion(char *v, u32 n) { SYSTEM; return copy(v, n, s.driver); }
int nvmlSystemGetNVMLVersion(char *v, u32 n) { SYSTEM; char b[96]; snprintf(b, sizeof b, "12.%s", s.driver); return copy(v, n, b); }
int nvmlSystemGetCudaDriverVersion(int *v) { SYSTEM; *v = s.cuda; return OK; }
int nvmlSystemGetCudaDriverVersion_v2(int *v) { SYSTEM; *v = s.cuda; return OK; }
int nvmlDeviceGetCount_v2(u32 *n) { SYSTEM; *n = s.gpus; return OK; }
int nvmlDeviceGetHandleByIndex_v2(u32 i, Handle *h)
{
    SYSTEM;
    if (i >= (u32)s.gpus) return INVALID;
    *h = slot + i;
    return s.gpu[i].error ? s.gpu[i].error : failing(&s, __func__, i);
}
int nvmlDeviceGetHandleByUUID(const char *uuid, Handle *h)
{
    SYSTEM;
    for (int i = 0; i < s.gpus; i++)
        if (!strcmp(uuid, s.gpu[i].uuid)) return *h = slot + i, s.gpu[i].error;
    return NOT_FOUND;
}
int nvmlDeviceGetIndex(Handle h, u32 *i) { DEVICE; *i = h - slot; return OK; }
int nvmlDeviceGetMinorNumber(Handle h, u32 *i) { DEVICE; *i = h - slot; return OK; }
int nvmlDeviceGetName(Handle h, char *v, u32 n) { DEVICE; return copy(v, n, g->name); }
int nvmlDeviceGetUUID(Handle h, char *v, u32 n) { DEVICE; return copy(v, n, g->uuid); }
int nvmlDeviceGetMemoryInfo(Handle h, Memory *m)
{
    DEVICE;
    m->total = g->total, m->used = g->used, m->free = g->total - g->used;
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(Handle h, Memory2 *m)
{
    DEVICE;
    if (m->version != 0x02000028) return BAD_VERSION;
    m->total = g->total, m->reserved = 0, m->used = g->used, m->free = g->total - g->used;
    return OK;
}
int nvmlDeviceGetUtilizationRates(Handle h, Utilization *u)
{
    DEVICE;
    if (g->mig == 1 || g->parent >= 0) return UNSUPPORTED; /* as on hardware: no utilization in MIG mode */
    u->gpu = g->util, u->memory = g->mem_util;
    return OK;
}
int nvmlDeviceGetTemperature(Handle h, u32 sensor, u32 *t) { DEVICE; if (g->parent >= 0) return UNSUPPORTED; *t = g->temp; return OK; }
int nvmlDeviceGetTemperatureV(Handle h, Temperature *t) { DEVICE; t->temperature = g->temp; return OK; }
int nvmlDeviceGetPowerUsage(Handle h, u32 *mw) { DEVICE; if (g->parent >= 0) return UNSUPPORTED; *mw = g->power; return OK; }
int nvmlDeviceGetPowerManagementLimit(Handle h, u32 *mw) { DEVICE; *mw = g->limit; return OK; }
int nvmlDeviceGetEnforcedPowerLimit(Handle h, u32 *mw) { DEVICE; *mw = g->limit; return OK; }
int nvmlDeviceGetCudaComputeCapability(Handle h, int *major, int *minor) { DEVICE; *major = g->cc / 10, *minor = g->cc % 10; return OK; }
int nvmlDeviceGetPciInfo_v3(Handle h, PciInfo *p)
{
    DEVICE;
    memset(p, 0, sizeof *p);
    p->bus = 0x10 + (h - slot), p->device_id = 0x233010de;
    snprintf(p->legacy, sizeof p->legacy, "0000:%02X:00.0", p->bus);
    snprintf(p->id, sizeof p->id, "00000000:%02X:00.0", p->bus);
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Handle h, u32 *count, ProcessInfo *out)
{
    DEVICE;
    u32 n = 0, room = *count;
    for (int i = 0; i < s.procs; i++) {
        if (g->parent >= 0 ? s.proc[i].mig != h - mig_slot : s.proc[i].gpu != h - slot) continue;
        if (out && n < room) out[n] = (ProcessInfo){s.proc[i].pid, s.proc[i].used, ~0u, ~0u};
        n++;
    }
    *count = n;
    return n > room ? TOO_SMALL : OK;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(Handle h, u32 *count, ProcessInfo *out) { DEVICE; *count = 0; return OK; } /* Ray's dashboard asks */
int nvmlDeviceGetTopologyCommonAncestor(Handle h, Handle other, u32 *level)
{
    DEVICE;
    Gpu *o;
    State t;
    if ((e = device(&t, other, __func__, &o))) return e;
    *level = h == other ? 0 : g->numa != o->numa ? 50 : g->pcie_switch == o->pcie_switch ? 10 : 40;
    return OK;
}
int nvmlDeviceGetNvLinkState(Handle h, u32 link, u32 *active)
{
    DEVICE;
    if (link >= 36) return INVALID;
    if (!g->nvlinks) return UNSUPPORTED;
    *active = link < g->nvlinks;
    return OK;
}
int nvmlDeviceGetMigMode(Handle h, u32 *current, u32 *pending)
{
    DEVICE;
    if (g->mig < 0) return UNSUPPORTED;
    *current = *pending = g->mig;
    return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(Handle h, u32 *n) { DEVICE; *n = g->mig < 0 ? 0 : 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(Handle h, u32 i, Handle *mig)
{
    DEVICE;
    for (int n = 0; n < s.migs; n++)
        if (s.slice[n].parent == h - slot && !i--) return *mig = mig_slot + n, OK;
    return NOT_FOUND;
}
int nvmlDeviceGetP2PStatus(Handle h, Handle other, u32 capability, u32 *status)
{
    DEVICE;
    Gpu *o;
    State t;
    if ((e = device(&t, other, __func__, &o))) return e;
    *status = capability == 2 && !(g->nvlinks && o->nvlinks) ? 5 : 0; /* 2: over NVLink; 5: not supported */
    return OK;
}
