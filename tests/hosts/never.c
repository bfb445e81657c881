/* Links the library and never calls it: it must start no thread, print nothing, and leave signals and exit alone. */
#include <ostler.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Keeps the library among what this program needs. */
uint32_t (*volatile ostler_is_linked)(void) = ostler_version;

int main(void)
{
    char line[256];
    int threads = 0, handlers = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "Threads: %d", &threads);
    for (int number = 1; number < 32; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN)
            handlers++;
    }
    return threads != 1 || handlers != 0;
}
