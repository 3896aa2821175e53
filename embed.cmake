# A text file as a C array: IN, OUT, ID.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," body "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" body "${body}")
file(WRITE ${OUT} "extern const char np_embed_${ID}[];\nextern const unsigned long np_embed_${ID}_len;\nconst char np_embed_${ID}[] = {\n${body}0};\nconst unsigned long np_embed_${ID}_len = sizeof np_embed_${ID} - 1;\n")
