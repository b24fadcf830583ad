// What the known data sets are: file names, checksums, class names and the mirrors that serve them.

/** One of the four IDX files of a data set in the format of MNIST. */
export interface ArchiveFile {
  /** Name without `.gz`; both forms are found on disk, mirrors serve `.gz`. */
  name: string;
  /** Bytes decompressed, and about as many as a mirror sends. */
  bytes: number;
  compressedBytes: number;
  /** SHA-256 of the decompressed file: whoever compressed it, and however, the content is the same. */
  sha256: string;
}

export interface ArchiveFiles {
  trainImages: ArchiveFile;
  trainLabels: ArchiveFile;
  testImages: ArchiveFile;
  testLabels: ArchiveFile;
}

export interface Archive {
  /** For messages. */
  title: string;
  /** Name of its folder in the cache and under TSLIP_DATA. */
  folder: string;
  classNames: readonly string[];
  files: ArchiveFiles;
  /** The part of it that is shipped with the package, if any. */
  subset?: ArchiveFiles;
  /** Folders where a system package puts it. */
  systemFolders: readonly string[];
  /** How to get it without this library. */
  hint: string;
  /** Folders of URLs, tried in this order; the checksum makes plain http no risk. */
  mirrors: readonly string[];
}

type Row = readonly [bytes: number, compressedBytes: number, sha256: string];

function files(trainImages: Row, trainLabels: Row, testImages: Row, testLabels: Row): ArchiveFiles {
  const file = (name: string, [bytes, compressedBytes, sha256]: Row) => ({ name, bytes, compressedBytes, sha256 });
  return {
    trainImages: file("train-images-idx3-ubyte", trainImages),
    trainLabels: file("train-labels-idx1-ubyte", trainLabels),
    testImages: file("t10k-images-idx3-ubyte", testImages),
    testLabels: file("t10k-labels-idx1-ubyte", testLabels),
  };
}

/** Xiao, Rasul and Vollgraf, arXiv:1708.07747; MIT License. */
export const FASHION_MNIST: Archive = {
  title: "Fashion-MNIST",
  folder: "fashion-mnist",
  classNames: [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
  ],
  files: files(
    [47_040_016, 26_421_880, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"],
    [60_008, 29_515, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"],
    [7_840_016, 4_422_102, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"],
    [10_008, 5_148, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"],
  ),
  subset: files(
    [4_704_016, 2_626_021, "cf313073c7eb485392848071d5c433571d7166043e971e3345b095cc30518084"],
    [6_008, 2_821, "097b93fbcf9bd5bc648b1a457ddc55c9e4ab49afb33f9ecae8ce068399a75e3a"],
    [784_016, 437_889, "7cee33c3c6414b1b86c25e665a6c4f41584269de3b7cc9768b1d351922845eef"],
    [1_008, 480, "3128d790775889812b73c4f13923559c8b9e281d112c6ea7862acf60a206a909"],
  ),
  systemFolders: ["/usr/share/datasets/fashion-mnist"],
  hint: "on Debian or Ubuntu `apt-get install dataset-fashion-mnist` is enough",
  mirrors: [
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
  ],
};

/** LeCun, Cortes and Burges. */
export const MNIST: Archive = {
  title: "MNIST",
  folder: "mnist",
  classNames: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
  files: files(
    [47_040_016, 9_912_422, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"],
    [60_008, 28_881, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"],
    [7_840_016, 1_648_877, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"],
    [10_008, 4_542, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"],
  ),
  systemFolders: [],
  hint: "the files are those of http://yann.lecun.com/exdb/mnist/",
  mirrors: ["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"],
};
