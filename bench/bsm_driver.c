/* asn1c's codec over the messages on standard input, one in hexadecimal digits a line.
 *
 * Prints nanoseconds of processor time a message: decode and encode with constraints checked,
 * decode and encode without. A Part II value is opened and closed as well. Ends with another
 * status than 0 where what was decoded does not encode to the same octets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "BasicSafetyMessage.h"
#include "PartIIcontent.h"
#include "VehicleSafetyExtensions.h"

#define MOST 4096
#define SIZE 512

static asn_TYPE_descriptor_t *const MESSAGE = &asn_DEF_BasicSafetyMessage;
static asn_TYPE_descriptor_t *const SAFETY = &asn_DEF_VehicleSafetyExtensions;

struct one {
    unsigned char octets[SIZE];
    size_t length;
    BasicSafetyMessage_t *message;
    VehicleSafetyExtensions_t *safety;
};

static struct one all[MOST];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void must(int fine, int status) {
    if (!fine) exit(status);
}

static OCTET_STRING_t *part(struct one *one) {
    return one->message->partII ? &one->message->partII->list.array[0]->partII_Value : 0;
}

static void decode(struct one *one, int checked) {
    OCTET_STRING_t *value;
    one->message = 0;
    one->safety = 0;
    must(uper_decode_complete(0, MESSAGE, (void **)&one->message, one->octets, one->length).code
             == RC_OK, 2);
    must(!checked || !asn_check_constraints(MESSAGE, one->message, 0, 0), 3);
    value = part(one);
    if (!value) return;
    must(uper_decode_complete(0, SAFETY, (void **)&one->safety, value->buf, value->size).code
             == RC_OK, 2);
    must(!checked || !asn_check_constraints(SAFETY, one->safety, 0, 0), 3);
}

static void encode(struct one *one, int checked, unsigned char *out, size_t *length) {
    OCTET_STRING_t *value = part(one);
    asn_enc_rval_t done;
    if (value) {
        must(!checked || !asn_check_constraints(SAFETY, one->safety, 0, 0), 3);
        done = uper_encode_to_buffer(SAFETY, one->safety, out, SIZE);
        must(done.encoded >= 0, 4);
        OCTET_STRING_fromBuf(value, (char *)out, (done.encoded + 7) / 8);
    }
    must(!checked || !asn_check_constraints(MESSAGE, one->message, 0, 0), 3);
    done = uper_encode_to_buffer(MESSAGE, one->message, out, SIZE);
    must(done.encoded >= 0, 4);
    *length = (done.encoded + 7) / 8;
}

static void release(struct one *one) {
    ASN_STRUCT_FREE(*MESSAGE, one->message);
    if (one->safety) ASN_STRUCT_FREE(*SAFETY, one->safety);
}

static double decoding(int count, int rounds, int checked) {
    double begun = now();
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++) {
            decode(&all[i], checked);
            release(&all[i]);
        }
    return (now() - begun) / rounds / count;
}

static double encoding(int count, int rounds, int checked) {
    unsigned char out[SIZE];
    size_t length;
    double begun = now();
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++) {
            encode(&all[i], checked, out, &length);
            must(length == all[i].length && !memcmp(out, all[i].octets, length), 5);
        }
    return (now() - begun) / rounds / count;
}

int main(int argc, char **argv) {
    char line[2 * SIZE + 2];
    int count = 0, rounds = argc > 1 ? atoi(argv[1]) : 1;
    while (count < MOST && fgets(line, sizeof line, stdin)) {
        struct one *one = &all[count++];
        one->length = strlen(line) / 2;
        for (size_t i = 0; i < one->length; i++) sscanf(line + 2 * i, "%2hhx", &one->octets[i]);
    }
    must(count > 0 && rounds > 0, 1);
    printf("%f ", decoding(count, rounds, 1));
    double loose = decoding(count, rounds, 0);
    for (int i = 0; i < count; i++) decode(&all[i], 1);
    printf("%f ", encoding(count, rounds, 1));
    printf("%f %f\n", loose, encoding(count, rounds, 0));
    return 0;
}
