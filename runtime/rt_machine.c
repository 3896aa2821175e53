/* Has this machine the instructions that the program was compiled for? That is
 * asked before anything else runs, in code without them: a machine that lacks one
 * would end the program in the middle, without a word. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "np_rt.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <string.h>
#include <unistd.h>

/* What the compiler was told that it may use, as it says itself; NULL: this machine has all of it. */
__attribute__((target("no-avx"))) static const char *rt_machine_lacks(void)
{
    __builtin_cpu_init();
#ifdef __AVX2__
    if (!__builtin_cpu_supports("avx2")) return "AVX2";
#endif
#ifdef __FMA__
    if (!__builtin_cpu_supports("fma")) return "FMA";
#endif
#ifdef __BMI2__
    if (!__builtin_cpu_supports("bmi2")) return "BMI2";
#endif
#ifdef __AVX512F__
    if (!__builtin_cpu_supports("avx512f")) return "AVX-512";
#endif
#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
    if (!__builtin_cpu_supports("avx512bw")) return "AVX-512 BW";
    if (!__builtin_cpu_supports("avx512dq")) return "AVX-512 DQ";
    if (!__builtin_cpu_supports("avx512vl")) return "AVX-512 VL";
#endif
#if defined(__AVX512VBMI__) && defined(__AVX512VBMI2__)
    if (!__builtin_cpu_supports("avx512vbmi")) return "AVX-512 VBMI";
    if (!__builtin_cpu_supports("avx512vbmi2")) return "AVX-512 VBMI2";
#endif
#ifdef __AVX512VNNI__
    if (!__builtin_cpu_supports("avx512vnni")) return "AVX-512 VNNI";
#endif
#ifdef __AVX512BF16__
    if (!__builtin_cpu_supports("avx512bf16")) return "AVX-512 BF16";
#endif
#ifdef __AVXVNNI__ /* not every compiler knows it by name: leaf 7, 1, bit 4 of eax */
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a >> 4 & 1)) return "AVX-VNNI";
#endif
#ifdef __XOP__
    if (!__builtin_cpu_supports("xop")) return "XOP";
#endif
    return NULL;
}
__attribute__((target("no-avx"))) static void rt_machine_say(const char *s)
{
    if (write(2, s, strlen(s)) < 0) return; /* nobody is there to read it: the exit status says enough */
}
__attribute__((constructor, target("no-avx"))) static void rt_machine_check(void)
{
    const char *what = rt_machine_lacks();
    if (!what) return;
    rt_machine_say("this program was compiled for machines with ");
    rt_machine_say(what);
    rt_machine_say(", which this one lacks: build it again with --target generic, or with a target that this machine "
                   "is (neap targets)\n");
    _exit(1);
}
#endif
